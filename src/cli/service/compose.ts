/**
 * A compose file for three peers on one host, to try or test; for real ones, each host runs one of the services. Its
 * Dockerfile is in it, so that one file is all that has to be kept.
 */

/** The peers' ports are the same inside and outside, because the API answers only to its own address. */
const peers = [
  { name: "ada", port: 7400 },
  { name: "bob", port: 7410 },
  { name: "cyd", port: 7420 },
] as const;

/** Where the image keeps data. Every user may make a folder there, so the container runs as any user. */
export const imageFolder = "/var/lib/cicada";
export const peerFolder = `${imageFolder}/peer`;

export function dockerfile(version: string): string {
  const tarball = `cicada-cron-${version}.tgz`;
  return `# Node's image exists for linux/amd64 and linux/arm64, and the package is the same for both.
FROM node:24-bookworm-slim
COPY ${tarball} /tmp/
RUN npm install --global --no-audit --no-fund /tmp/${tarball} \\
 && rm -r /tmp/${tarball} /root/.npm \\
 && mkdir ${imageFolder} && chmod 1777 ${imageFolder}
# Add here what your jobs need.
ENV CICADA_DATA=${peerFolder} XDG_CACHE_HOME=${imageFolder}/cache CICADA_LOG_FORMAT=json
VOLUME ${imageFolder}
# Any user will do, even one without an entry in /etc/passwd. Only as root can jobs name a user.
USER 1000:1000
STOPSIGNAL SIGTERM
EXPOSE 7401
# As process 1 cicada puts a shell in its place, which collects the processes that jobs leave behind.
ENTRYPOINT ["cicada"]
CMD ["start"]
`;
}

export function composeFile(version: string): string {
  const indented = dockerfile(version)
    .trimEnd()
    .split("\n")
    // Compose replaces $.
    .map((line) => `      ${line.replaceAll("$", "$$$$")}`)
    .join("\n");
  return `# Three peers on this host, printed by cicada ${version}. In an empty folder:
#   cicada service --docker > compose.yaml
#   cp …/cicada-cron-${version}.tgz .                       # made by \`npm pack\` in a clone of cicada
#   docker compose up --build --detach ada                  # the first peer makes the mesh's key
#   (umask 077; docker compose exec ada cat ${peerFolder}/cluster.key > cluster.key)
#   docker compose up --detach                              # the others join with it
#   docker compose exec ada cicada peers ls
# The key is a root credential. The pages are on http://127.0.0.1:7400, 7410 and 7420; the token to log in with:
#   docker compose exec ada cat ${peerFolder}/admin.token
# On three hosts, run one service on each, and give it --announce with the address at which the others reach it.

x-peer: &peer
  image: cicada-cron:${version}
  build:
    context: .
    # docker buildx build --platform linux/amd64,linux/arm64 makes an image for both.
    platforms: [linux/amd64, linux/arm64]
    dockerfile_inline: |
${indented}
  # An init that collects dead processes; without it cicada's own shell does.
  init: true
  restart: unless-stopped
  # Longer than --drain (30 s), which the peer gives to its runs.
  stop_grace_period: 60s
  # A cluster.key that belongs to you is readable to you alone: UID=$(id -u) GID=$(id -g) docker compose …
  user: "\${UID:-1000}:\${GID:-1000}"
  read_only: true
  tmpfs: [/tmp]
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]

services:
${peers.map(serviceOf).join("\n")}
secrets:
  cluster.key:
    file: ./cluster.key

volumes:
${peers.map(({ name }) => `  ${name}:`).join("\n")}
`;
}

function serviceOf({ name, port }: (typeof peers)[number]): string {
  const [first] = peers;
  const joins = name !== first.name;
  // The API has to leave the container's loopback to be published on the host's. No other host can reach it there.
  const words = ["start", "--name", name, "--http", `0.0.0.0:${port}`, "--behind-tls-proxy"];
  if (joins) words.push("--cluster-key", "/run/secrets/cluster.key", "--bootstrap", `${first.name}:7401`);
  const probe = `fetch('http://127.0.0.1:${port}/livez').then(({ok})=>process.exit(ok?0:1),()=>process.exit(1))`;
  return `  ${name}:
    <<: *peer
    hostname: ${name}
    command: ${JSON.stringify([...words, "--announce", `/dns4/${name}/tcp/7401`])}
    ports: ["127.0.0.1:${port}:${port}"]
    volumes: ["${name}:${imageFolder}"]
${joins ? "    secrets: [cluster.key]\n" : ""}    healthcheck:
      test: ${JSON.stringify(["CMD", "node", "-e", probe])}
      interval: 30s
      start_period: 30s
`;
}
