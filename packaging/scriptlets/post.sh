# shellcheck shell=sh
# After an installation ($1 is 1) or an upgrade ($1 is 2 or more). rpm runs it with /bin/sh, and an upgrade goes on only
# where it ends with 0.

# What a transaction that was killed left behind under rpm's names for files that are not whole yet, as in 50vgpu;6561e0aa. In
# the hook's folder such a file refuses every start.
rm -f /etc/xapi.d/vm-pre-start/50vgpu\;* /etc/xapi.d/plugins/vgpu\;* /usr/bin/vgpu-admin\;* /usr/libexec/vgpu/*\;* \
    /usr/libexec/vgpu/package/*\;* /etc/vgpu/vgpu.toml\;* /etc/vgpu/init_db.sql\;* /etc/rsyslog.d/10-vgpu.conf\;* \
    /etc/logrotate.d/vgpu-config\;* /etc/xensource/bugtool/vgpu.xml\;* /etc/xensource/bugtool/vgpu/any.xml\;* \
    /usr/share/man/man5/vgpu.toml.5.gz\;* /usr/share/man/man8/vgpu-*\;* \
    /usr/share/bash-completion/completions/vgpu-admin\;* /usr/share/zsh/site-functions/_vgpu-admin\;* \
    /usr/share/fish/vendor_completions.d/vgpu-admin.fish\;* /usr/share/doc/vgpu-config/*\;* \
    /usr/share/doc/vgpu-config/docs/*\;* || :

# Creates the database, or brings it to this version's schema after a copy beside it. Asks nobody else: status would ask every host.
if answer=$(/usr/bin/vgpu-admin list-pools 2>&1); then
    if [ "$1" = 1 ]; then
        echo "vgpu-config is installed; the toolstack need not be restarted. Register a VM:"
        echo "    vgpu-admin register-vm --vm-uuid=UUID --pool=A --priority=high"
        echo "and install it on every host of the pool. 'vgpu-admin check' tells whether everything is right."
    fi
else
    echo "vgpu-config: the database is not ready: $answer" || :
    echo "VMs start as XAPI has them until 'vgpu-admin check' is content." || :
fi

# Only now: until here VMs start with the hook and the program from before, which know the schema from before.
/usr/libexec/vgpu/put-hook 2>&1 || :

# What rpm has put aside of the administrator's settings, or not put in their place.
if [ -e /etc/vgpu/vgpu.toml.rpmsave ]; then
    echo "vgpu-config: the settings from before it was removed are in /etc/vgpu/vgpu.toml.rpmsave, and are not in force:" || :
    echo "take over what you need into /etc/vgpu/vgpu.toml, and delete it." || :
fi
if [ -e /etc/vgpu/vgpu.toml.rpmnew ]; then
    echo "vgpu-config: the defaults of this version are in /etc/vgpu/vgpu.toml.rpmnew: take over what you need, and delete it." || :
fi

# rsyslog reads its rules only when it starts. Does nothing where it does not run, or in a chroot.
systemctl try-restart rsyslog.service >/dev/null 2>&1 || :
exit 0
