# shellcheck shell=sh
# After the files of a version are gone: for good ($1 is 0), or because a newer version is there ($1 is 1).
if [ "$1" = 0 ]; then
    systemctl try-restart rsyslog.service >/dev/null 2>&1 || :
    # What put-hook made, and what transactions that were killed left.
    rm -f /usr/libexec/vgpu/vgpu-hook /usr/libexec/vgpu/vgpu-hook.new /etc/xapi.d/50vgpu.new /etc/xapi.d/plugins/vgpu\;* \
        /usr/bin/vgpu-admin\;* /usr/libexec/vgpu/*\;* /usr/libexec/vgpu/package/*\;* /etc/logrotate.d/vgpu-config\;* || :
    # rpm removes files only. /etc/vgpu stays: the database is the administrator's.
    rmdir /usr/libexec/vgpu/package /usr/libexec/vgpu /usr/share/doc/vgpu-config/docs /usr/share/doc/vgpu-config \
        /etc/xensource/bugtool/vgpu 2>/dev/null || :
fi
exit 0
