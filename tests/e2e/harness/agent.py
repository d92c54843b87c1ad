# SPDX-License-Identifier: Apache-2.0
"""agent: a shell loop inside the guest that runs commands for the test, put into the unchanged image by SMBIOS credentials.

Two units come with every boot: one answers commands over a virtio port, the other streams the journal to a second port, so
that a boot that ends in a panic leaves its last words on the host. Neither may fail, hold up the boot or its end.
"""

import base64

COMMAND_PORT = "org.proa.test.command"
JOURNAL_PORT = "org.proa.test.journal"

# Looked up in sysfs: udev's links under /dev/virtio-ports come seconds later.
FIND_PORT = r"""
find_port() {
	local name
	while :; do
		for port in /sys/class/virtio-ports/*; do
			[ -e $port/name ] && read -r name <$port/name && [ "$name" = $1 ] && port=/dev/${port##*/} && [ -e $port ] && return
		done
		sleep 0.1
	done
}
"""

# Commands come as "ID BASE64". Each runs by itself, so that one that waits does not hold up the next. What it says goes to
# a file first: the port is shared and lines of two answers must not mix.
LOOP = rf"""
{FIND_PORT}
dir=/run/proa-test
mkdir -p $dir
find_port {COMMAND_PORT}
exec 3<>$port
say() {{ flock 9; cat >&3; }} 9>$dir/lock
read -r boot </proc/sys/kernel/random/boot_id
read -r up rest </proc/uptime
echo "hello $boot $up" | say
while read -r id command <&3; do
	(
		base64 -d <<<"$command" >$dir/$id.sh
		bash $dir/$id.sh </dev/null >$dir/$id.out 2>&1 3>&- 9>&-
		status=$?
		{{ base64 -w 3000 $dir/$id.out | sed "s/^/$id out /"; echo "$id end $status"; }} | say
		rm -f $dir/$id.sh $dir/$id.out
	) &
done
"""

JOURNAL = rf"""
{FIND_PORT}
find_port {JOURNAL_PORT}
read -r boot </proc/sys/kernel/random/boot_id
exec >$port
echo "boot $boot"
mkdir -p /var/log/journal # on a first boot there is none yet, and journalctl would not see it come
exec journalctl --boot --follow --lines=all --output=short-monotonic
"""

# After= nothing: the port appears when its module is loaded, and the loop waits for it.
SERVICE = """[Unit]
Description=%s
ConditionPathExists=!/etc/initrd-release
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
StartLimitIntervalSec=0
%s
[Service]
Type=exec
ExecStart=%s
StandardInput=null
StandardOutput=null
StandardError=journal
Restart=always
RestartSec=1s
SuccessExitStatus=0 1 2 126 127 SIGTERM SIGHUP SIGPIPE
TimeoutStopSec=2s
OOMScoreAdjust=-1000
KillMode=control-group
"""

WANTS = "[Unit]\nWants=proa-test.service proa-test-journal.service\n"


def _encoded(text):
    return base64.b64encode(text.encode()).decode()


def _service(name, script, more=""):
    # The script goes to a file: read from standard input, it would share that with the commands it runs.
    start = f"/bin/bash -c 'base64 -d <<<{_encoded(script)} >/run/{name}.sh && exec /bin/bash /run/{name}.sh'"
    return SERVICE % (name, more, start)


def credentials(extra_units=None):
    """{credential: text} that bring the agent, and units of a test's own ({name: text}, started by multi-user.target)."""
    units = {
        "proa-test.service": _service("proa-test", LOOP),
        "proa-test-journal.service": _service("proa-test-journal", JOURNAL, "After=systemd-journald.socket\n"),
        **(extra_units or {}),
    }
    made = {f"systemd.extra-unit.{name}": text for name, text in units.items()}
    made["systemd.unit-dropin.basic.target~proa-test"] = WANTS
    return made


def smbios(given):
    """QEMU arguments that hand credentials to the guest."""
    arguments = []
    for name, text in given.items():
        arguments += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={_encoded(text)}"]
    return arguments
