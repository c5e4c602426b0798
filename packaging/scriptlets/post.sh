# shellcheck shell=sh
# Runs after an installation ($1 is 1) or an upgrade ($1 is 2 or more), with /bin/sh. An upgrade only continues if the exit
# status is 0.

# rpm's temporary files from a transaction that was killed, like 50vgpu;6561e0aa. In the hook's directory, such a file makes
# xenopsd refuse every start.
rm -f /etc/xapi.d/vm-pre-start/50vgpu\;* /etc/xapi.d/plugins/vgpu\;* /usr/bin/vgpu-admin\;* /usr/libexec/vgpu/*\;* \
    /usr/libexec/vgpu/package/*\;* /etc/vgpu/vgpu.toml\;* /etc/vgpu/init_db.sql\;* /etc/rsyslog.d/10-vgpu.conf\;* \
    /etc/logrotate.d/vgpu-config\;* /etc/xensource/bugtool/vgpu.xml\;* /etc/xensource/bugtool/vgpu/any.xml\;* \
    /usr/share/man/man5/vgpu.toml.5.gz\;* /usr/share/man/man8/vgpu-*\;* \
    /usr/share/bash-completion/completions/vgpu-admin\;* /usr/share/zsh/site-functions/_vgpu-admin\;* \
    /usr/share/fish/vendor_completions.d/vgpu-admin.fish\;* /usr/share/doc/vgpu-config/*\;* \
    /usr/share/doc/vgpu-config/docs/*\;* || :

# Creates the database, or migrates it after making a copy. list-pools only uses this host: status would ask every host.
if answer=$(/usr/bin/vgpu-admin list-pools 2>&1); then
    if [ "$1" = 1 ]; then
        echo "vgpu-config is installed. The toolstack does not have to be restarted. To register a VM:"
        echo "    vgpu-admin register-vm --vm-uuid=UUID --pool=A --priority=high"
        echo "QEMU gets the vGPU once you enable vgpu-config's qemu-wrapper:"
        echo "    vgpu-admin qemu-wrapper enable"
        echo "Install vgpu-config on every host of the resource pool. Run 'vgpu-admin check' to check the installation."
    fi
else
    echo "vgpu-config: the database is not ready: $answer" || :
    echo "VMs start with the arguments that XAPI has until 'vgpu-admin check' passes." || :
fi

# Not earlier: until now, VMs start with the old hook and program, which need the old schema.
/usr/libexec/vgpu/put-hook 2>&1 || :

# Settings files that rpm has saved under another name.
if [ -e /etc/vgpu/vgpu.toml.rpmsave ]; then
    echo "vgpu-config: your settings from before the removal are in /etc/vgpu/vgpu.toml.rpmsave and have no effect:" || :
    echo "copy what you need to /etc/vgpu/vgpu.toml, then delete the file." || :
fi
if [ -e /etc/vgpu/vgpu.toml.rpmnew ]; then
    echo "vgpu-config: the defaults of this version are in /etc/vgpu/vgpu.toml.rpmnew: copy what you need, then delete the file." || :
fi

# rsyslog reads its rules only when it starts. This has no effect if it does not run, or in a chroot.
systemctl try-restart rsyslog.service >/dev/null 2>&1 || :
exit 0
