/**
 * A Kubernetes manifest: a StatefulSet of three peers, the headless service by which they find each other, the secret
 * with the mesh's key, and a budget that keeps a majority up.
 *
 * The first pod makes the key. The others refuse to start until the secret holds it, because a peer without a key would
 * make a mesh of its own and run every job a second time.
 */
import { imageFolder, peerFolder } from "./compose.ts";

export function kubernetesManifest(version: string): string {
  return `# Three peers, printed by cicada ${version}:
#   cicada service --docker                   # has the Dockerfile: build the image, push it, and name it below
#   cicada service --k8s > cicada.yaml && kubectl apply -f cicada.yaml
#   key=$(kubectl exec cicada-0 -- base64 -w0 ${peerFolder}/cluster.key)                # a root credential
#   printf '{"data":{"cluster.key":"%s"}}' "$key" | kubectl patch secret cicada --patch-file /dev/stdin
#   # The other pods are tried again by themselves, and join within minutes:
#   kubectl exec cicada-0 -- cicada peers ls
# The page and the API, with the token in ${peerFolder}/admin.token:
#   kubectl port-forward cicada-0 7400
---
apiVersion: v1
kind: Service
metadata:
  name: cicada
  labels: { app.kubernetes.io/name: cicada }
spec:
  clusterIP: None
  # Peers have to find each other before they are ready.
  publishNotReadyAddresses: true
  selector: { app.kubernetes.io/name: cicada }
  ports:
    - { name: mesh, port: 7401 }
---
# Empty at first: the commands above put the key of the first pod into it. Applying this file again leaves it there.
apiVersion: v1
kind: Secret
metadata:
  name: cicada
  labels: { app.kubernetes.io/name: cicada }
type: Opaque
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: cicada
spec:
  maxUnavailable: 1
  selector:
    matchLabels: { app.kubernetes.io/name: cicada }
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: cicada
  labels: { app.kubernetes.io/name: cicada }
spec:
  serviceName: cicada
  replicas: 3
  podManagementPolicy: Parallel
  selector:
    matchLabels: { app.kubernetes.io/name: cicada }
  template:
    metadata:
      labels: { app.kubernetes.io/name: cicada }
    spec:
      # Longer than --drain (30 s), which a peer gives to its runs.
      terminationGracePeriodSeconds: 60
      # cicada doesn't talk to Kubernetes. Jobs that do need a service account.
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
        seccompProfile: { type: RuntimeDefault }
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: { app.kubernetes.io/name: cicada }
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions:
                  - { key: kubernetes.io/arch, operator: In, values: [amd64, arm64] }
      containers:
        - name: cicada
          image: cicada-cron:${version}
          command: [/bin/sh, -c]
          args:
            - |
              key=/etc/cicada/cluster.key
              # The first pod makes the mesh; later it rejoins with the key, even if it has lost its volume.
              if [ "$POD_NAME" = cicada-0 ] && [ ! -s "$key" ]; then exec cicada start; fi
              exec cicada start --cluster-key "$key" --bootstrap cicada-0.cicada:7401 --bootstrap cicada-1.cicada:7401
          env:
            - name: POD_NAME
              valueFrom: { fieldRef: { fieldPath: metadata.name } }
            - { name: CICADA_NAME, value: $(POD_NAME) }
            - { name: CICADA_DATA, value: ${peerFolder} }
            - { name: CICADA_ANNOUNCE, value: /dns4/$(POD_NAME).cicada/tcp/7401 }
            # For the probes. Put a proxy with TLS in front before you make a service of it.
            - { name: CICADA_HTTP, value: "0.0.0.0:7400" }
            - { name: CICADA_BEHIND_TLS_PROXY, value: "true" }
            # A container has no time service of its own; its node has.
            - { name: CICADA_CLOCK_SYNCHRONISED, value: "yes" }
          ports:
            - { name: mesh, containerPort: 7401 }
            - { name: http, containerPort: 7400 }
          startupProbe:
            httpGet: { path: /livez, port: http }
            periodSeconds: 5
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /livez, port: http }
            periodSeconds: 30
            timeoutSeconds: 10
          readinessProbe:
            httpGet: { path: /readyz, port: http }
          resources:
            # Its jobs run in the same container.
            requests: { cpu: 100m, memory: 256Mi }
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL] }
          volumeMounts:
            - { name: data, mountPath: ${imageFolder} }
            - { name: key, mountPath: /etc/cicada, readOnly: true }
            - { name: tmp, mountPath: /tmp }
      volumes:
        - name: key
          secret: { secretName: cicada, defaultMode: 0440 }
        - name: tmp
          emptyDir: {}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        resources: { requests: { storage: 2Gi } }
`;
}
