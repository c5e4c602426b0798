# shellcheck shell=sh
# Runs after the files are removed, by a removal ($1 is 0) or an upgrade ($1 is 1).
if [ "$1" = 0 ]; then
    systemctl try-restart rsyslog.service >/dev/null 2>&1 || :
    # %preun creates this file if xenopsd may still start the qemu-wrapper.
    [ -e /usr/libexec/vgpu/keep-qemu-wrapper ] || rm -f /usr/libexec/vgpu/qemu-wrapper || :
    # Files of put-hook, and temporary files of transactions that were killed.
    rm -f /usr/libexec/vgpu/vgpu-hook /usr/libexec/vgpu/vgpu-hook.new /usr/libexec/vgpu/qemu-wrapper.new \
        /usr/libexec/vgpu/keep-qemu-wrapper /etc/xapi.d/50vgpu.new /etc/xapi.d/plugins/vgpu\;* \
        /usr/bin/vgpu-admin\;* /usr/libexec/vgpu/*\;* /usr/libexec/vgpu/package/*\;* /etc/logrotate.d/vgpu-config\;* || :
    # rpm only removes files. /etc/vgpu stays because of the database.
    rmdir /usr/libexec/vgpu/package /usr/libexec/vgpu /usr/share/doc/vgpu-config/docs /usr/share/doc/vgpu-config \
        /etc/xensource/bugtool/vgpu 2>/dev/null || :
fi
exit 0
