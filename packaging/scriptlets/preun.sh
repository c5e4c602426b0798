# shellcheck shell=sh
# Before the files of a version go: for good ($1 is 0), or because another version is there ($1 is 1).
if [ "$1" = 0 ]; then
    # The hook goes before what it calls. A start that is under way finds the program until %postun.
    rm -f /etc/xapi.d/vm-pre-start/50vgpu /etc/xapi.d/vm-pre-start/50vgpu\;* || :
fi
exit 0
