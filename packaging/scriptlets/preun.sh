# shellcheck shell=sh
# Runs before the files are removed, by a removal ($1 is 0) or an upgrade ($1 is 1).
if [ "$1" = 0 ]; then
    # Remove the hook before the program that it calls. A start in progress finds the program until %postun.
    rm -f /etc/xapi.d/vm-pre-start/50vgpu /etc/xapi.d/vm-pre-start/50vgpu\;* || :
    # Printed here because yum 3.4 does not show the output of %postun.
    if [ -e /etc/vgpu/vgpu_config.db ]; then
        echo "vgpu-config is being removed. The settings of the VMs stay in /etc/vgpu, for a new installation." || :
        echo "Registered VMs keep their arguments in XAPI. To remove these too, install vgpu-config again, run" || :
        echo "'vgpu-admin remove-vm' for each VM, then remove it." || :
    fi
fi
exit 0
