"""The plugin's show_vm and list_vms in Python, as plugins for XAPI are written: an XML-RPC call is the only argument, and
dispatch() is what dom0's XenAPIPlugin.py does around a function. Installed in ROOT/etc/xapi.d/plugins."""

import json
import os
import sqlite3
import sys
import xmlrpc.client

ROOT = os.path.abspath(__file__).partition("/etc/xapi.d/")[0]
DATABASE = os.path.join(ROOT, "etc/vgpu/vgpu_config.db")
PRIORITIES = ["low", "medium", "high"]
SELECT = """
    SELECT vms.vm_uuid, vm_name, pool_id, priority, device_vm_id, revision, pushed_revision, known_to_xapi,
           created_at, updated_at, started_at, host_uuid, device_argument
    FROM vms JOIN vm_state USING (vm_uuid) LEFT JOIN last_starts USING (vm_uuid)"""


class Failure(Exception):
    def __init__(self, code, params):
        Exception.__init__(self)
        self.code = code
        self.params = params


def vm(row):
    (uuid, name, pool, priority, number, revision, pushed, known, created, updated, started, host, argument) = row
    priority = PRIORITIES[priority]
    wanted = "-device vgpu-stub,pool_id=%s,priority=%s,vm_id=%d" % (pool, priority, number)
    last_start = None
    if started is not None:
        last_start = {"started_at": started, "host_uuid": host, "device_argument": argument, "is_current": argument == wanted}
    return {
        "vm_uuid": uuid,
        "vm_name": name,
        "pool": pool,
        "priority": priority,
        "vm_id": number,
        "device_argument": wanted,
        "revision": revision,
        "in_xapi": bool(known) and pushed >= revision,
        "created_at": created,
        "updated_at": updated,
        "last_start": last_start,
    }


def show_vm(session, args):
    row = sqlite3.connect(DATABASE).execute(SELECT + " WHERE vms.vm_uuid = ?", [args["vm_uuid"]]).fetchone()
    if row is None:
        raise Failure("VGPU_NOT_FOUND", [args["vm_uuid"]])
    return json.dumps(vm(row))


def list_vms(session, args):
    rows = sqlite3.connect(DATABASE).execute(SELECT + " ORDER BY pool_id, priority DESC, vm_name, vms.vm_uuid")
    return json.dumps([vm(row) for row in rows])


def dispatch(functions):
    params, function = xmlrpc.client.loads(sys.argv[1])
    session, args = params
    try:
        if function not in functions:
            raise Failure("UNKNOWN_XENAPI_PLUGIN_FUNCTION", [function])
        answer = {"Status": "Success", "Value": functions[function](session, args)}
    except Failure as failure:
        answer = {"Status": "Failure", "ErrorDescription": [failure.code] + failure.params}
    print(xmlrpc.client.dumps((answer,), "", True))


if __name__ == "__main__":
    dispatch({"show_vm": show_vm, "list_vms": list_vms})
