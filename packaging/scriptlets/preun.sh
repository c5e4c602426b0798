# shellcheck shell=sh
# Runs before the files are removed, by a removal ($1 is 0) or an upgrade ($1 is 1).
if [ "$1" = 0 ]; then
    # Remove the hook before the program that it calls. A start in progress finds the program until %postun.
    rm -f /etc/xapi.d/vm-pre-start/50vgpu /etc/xapi.d/vm-pre-start/50vgpu\;* || :
    # The next xenopsd starts the stock qemu-wrapper. The one that is running may start ours: see %postun.
    /usr/bin/vgpu-admin qemu-wrapper disable >/dev/null 2>&1 ||
        rm -f /etc/xenopsd.conf.d/zzz-vgpu-qemu-wrapper.conf /etc/xenopsd-xc.conf.d/zzz-vgpu-qemu-wrapper.conf || :
    # Printed here because yum 3.4 does not show the output of %postun.
    echo "/usr/libexec/vgpu/qemu-wrapper becomes a link to the stock qemu-wrapper, in case xenopsd was told to start it." || :
    if [ -e /etc/vgpu/vgpu_config.db ]; then
        echo "vgpu-config is being removed. The settings of the VMs stay in /etc/vgpu, for a new installation." || :
        echo "Registered VMs keep their arguments in XAPI. To remove these too, install vgpu-config again, run" || :
        echo "'vgpu-admin remove-vm' for each VM, then remove it." || :
    fi
fi
exit 0
