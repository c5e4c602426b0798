# shellcheck shell=bash
# Completion of vgpu-admin, which lists the candidates itself. For bash 4.2 and later; bash-completion loads this file at the
# first TAB.

_vgpu_admin() {
    local i word current='' glued=''
    local -a words=()
    # Bash splits words at = and :, vgpu-admin does not: join them again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -gt 0 && -n $word && ( -n $glued || $word == [=:]* ) ]]; then
            current+=$word
            words[${#words[@]} - 1]=$current
        else
            current=$word
            words+=("$word")
        fi
        glued=''
        if [[ $word == *[=:] ]]; then glued=yes; fi
    done
    # As the shell would pass them on.
    words=("${words[@]//[\\\"\']/}")
    current=${words[${#words[@]} - 1]}
    # Bash only replaces the part after the last = or :, and leaves an opening quote where it is.
    local kept=${current%"${2//[\\\"\']/}"}
    local typed=${COMP_WORDS[COMP_CWORD]} in_quotes=''
    if [[ $typed == [\"\']* ]]; then in_quotes=yes; fi
    COMPREPLY=()
    # A word that is partly in quotes is left to whoever types it.
    if [[ ${typed:1} == *[\"\']* ]]; then return; fi
    while IFS= read -r word; do
        word=${word#"$kept"}
        # Anybody who may create VMs chooses their names: none may be more than text on the command line.
        if [[ -z $in_quotes ]]; then
            printf -v word %q "$word"
        elif [[ $word == *[\\\$\`\!\"\']* ]]; then
            continue
        fi
        COMPREPLY+=("$word")
    done < <(VGPU_ADMIN_COMPLETE=$((${#words[@]} - 1)) "$1" "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then compopt -o nospace; fi
}

complete -F _vgpu_admin vgpu-admin
