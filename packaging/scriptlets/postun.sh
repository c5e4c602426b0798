# shellcheck shell=sh
# Runs after the files are removed, by a removal ($1 is 0) or an upgrade ($1 is 1).
if [ "$1" = 0 ]; then
    systemctl try-restart rsyslog.service >/dev/null 2>&1 || :
    # xenopsd reads its settings only when it starts, and other files of its settings may name our qemu-wrapper as well. If it was
    # missing, no VM that uses QEMU would start. So something always stays at this path, and is replaced in one step.
    link=/usr/libexec/vgpu/qemu-wrapper
    mkdir -p /usr/libexec/vgpu || :
    ln -sfn ../../lib64/xen/bin/qemu-wrapper "$link.new" || :
    mv -Tf "$link.new" "$link" || :
    # Files of put-hook, and temporary files of transactions that were killed.
    rm -f /usr/libexec/vgpu/vgpu-hook /usr/libexec/vgpu/vgpu-hook.new /usr/libexec/vgpu/qemu-wrapper.new \
        /etc/.zzz-vgpu-qemu-wrapper.conf.new /etc/xapi.d/50vgpu.new /etc/xapi.d/plugins/vgpu\;* \
        /usr/bin/vgpu-admin\;* /usr/libexec/vgpu/*\;* /usr/libexec/vgpu/package/*\;* /etc/logrotate.d/vgpu-config\;* || :
    # rpm only removes files. /etc/vgpu stays because of the database.
    rmdir /usr/libexec/vgpu/package /usr/libexec/vgpu /usr/share/doc/vgpu-config/docs /usr/share/doc/vgpu-config \
        /etc/xensource/bugtool/vgpu 2>/dev/null || :
fi
exit 0
