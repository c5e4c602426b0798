# shellcheck shell=sh
# Before the files of a version go: for good ($1 is 0), or because another version is there ($1 is 1).
if [ "$1" = 0 ]; then
    # The hook goes before what it calls. A start that is under way finds the program until %postun.
    rm -f /etc/xapi.d/vm-pre-start/50vgpu /etc/xapi.d/vm-pre-start/50vgpu\;* || :
    # Said here, since yum 3.4 shows nothing of what %postun prints.
    if [ -e /etc/vgpu/vgpu_config.db ]; then
        echo "vgpu-config is being removed. The settings of the VMs stay in /etc/vgpu: installed again, it goes on with them." || :
        echo "Registered VMs keep their arguments in XAPI. To take them out, install it again, run 'vgpu-admin remove-vm' for" || :
        echo "each VM, and remove it then." || :
    fi
fi
exit 0
