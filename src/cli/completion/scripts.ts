/**
 * The scripts that `cicada completion` prints. Each asks the program itself what may come next, by `cicada complete`, so that a
 * newer program needs no newer script. A candidate is one line.
 */
export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** bash splits words at `:`, `=` and `@`, too, so it is told what it takes for the present word. */
const bash = `# bash completion of cicada. Put it in ~/.bashrc:  source <(cicada completion bash)
_cicada() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("\${COMP_WORDS[0]}" complete bash "\${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null </dev/null)
}
complete -o default -o bashdefault -F _cicada cicada`;

const zsh = `#compdef cicada
# zsh completion of cicada. Put it in ~/.zshrc, after compinit:  source <(cicada completion zsh)
# or into a folder of $fpath:  cicada completion zsh > FOLDER/_cicada
_cicada() {
  local -a found
  found=("\${(@f)$("\${words[1]}" complete zsh "\${(j: :)words[1,CURRENT]}" 2>/dev/null </dev/null)}")
  if [[ -n "\${found[1]}" ]]; then
    compadd -a found
  else
    _files
  fi
}
# As a file of $fpath, this is the function's body when it is called first.
if [[ "\${funcstack[1]}" == _cicada ]]; then
  _cicada "$@"
else
  compdef _cicada cicada
fi`;

const fish = `# fish completion of cicada:  cicada completion fish > ~/.config/fish/completions/cicada.fish
function __cicada_complete
    set -l found (command cicada complete fish (commandline -cp) 2>/dev/null </dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c cicada -f -a '(__cicada_complete)'`;

export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
