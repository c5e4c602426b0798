# shellcheck shell=sh
# Runs before the files are removed, by a removal ($1 is 0) or an upgrade ($1 is 1).
if [ "$1" = 0 ]; then
    # Remove the hook before the program that it calls. A start in progress finds the program until %postun.
    rm -f /etc/xapi.d/vm-pre-start/50vgpu /etc/xapi.d/vm-pre-start/50vgpu\;* || :
    # xenopsd reads its settings only when it starts. If it was told to start our qemu-wrapper, no VM that uses QEMU starts without
    # it until xenopsd is restarted. So remove the setting, but keep the program.
    /usr/bin/vgpu-admin qemu-wrapper disable >/dev/null 2>&1 ||
        rm -f /etc/xenopsd.conf.d/zzz-vgpu-qemu-wrapper.conf /etc/xenopsd-xc.conf.d/zzz-vgpu-qemu-wrapper.conf || :
    case $(/usr/bin/vgpu-admin --format json qemu-wrapper status 2>/dev/null) in
        *'"state":"off"'*'"needs_restart":false'* | *'"state":"foreign"'*'"needs_restart":false'*) ;;
        *)
            : >/usr/libexec/vgpu/keep-qemu-wrapper || :
            echo "xenopsd may still start VMs through /usr/libexec/vgpu/qemu-wrapper, so this program stays for now. Run" || :
            echo "'xe-toolstack-restart' (running VMs are not affected), and then 'rm -r /usr/libexec/vgpu'." || :
            ;;
    esac
    # Printed here because yum 3.4 does not show the output of %postun.
    if [ -e /etc/vgpu/vgpu_config.db ]; then
        echo "vgpu-config is being removed. The settings of the VMs stay in /etc/vgpu, for a new installation." || :
        echo "Registered VMs keep their arguments in XAPI. To remove these too, install vgpu-config again, run" || :
        echo "'vgpu-admin remove-vm' for each VM, then remove it." || :
    fi
fi
exit 0
