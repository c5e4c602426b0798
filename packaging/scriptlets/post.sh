# shellcheck shell=sh
# After an installation ($1 is 1) or an upgrade ($1 is 2 or more). rpm runs it with /bin/sh, and an upgrade goes on only
# where it ends with 0.

# An upgrade that was cut off leaves a half-written file, which would refuse every VM's start.
rm -f "/etc/xapi.d/vm-pre-start/50vgpu;"* || :

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

# rsyslog reads its rules only when it starts. Does nothing where it does not run, or in a chroot.
systemctl try-restart rsyslog.service >/dev/null 2>&1 || :
exit 0
