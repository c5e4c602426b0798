"""What the recorded hook scripts did, for hook scripts of the conformance test: it stands beside the hook folders, where
nothing runs it by itself."""
import http.client
import json
import os
import socket
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
UUID = sys.argv[sys.argv.index("-vmuuid") + 1]
QUEUE = "org.xen.xapi.xenops.classic"


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = os.path.join(ROOT, path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def log(text):
    with open(os.path.join(ROOT, "hook.log"), "a", encoding="utf-8") as file:
        file.write(text + "\n")


class Xapi:
    def __init__(self):
        self.connection = Unix("var/lib/xcp/xapi")
        self.session = self.raw("session.login_with_password", "root", "", "1.0", "hook")["result"]
        self.vm = self("VM.get_by_uuid", UUID)

    def raw(self, method, *params):
        call = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        self.connection.request("POST", "/jsonrpc", json.dumps(call))
        return json.loads(self.connection.getresponse().read())

    def __call__(self, method, *params):
        return self.raw(method, self.session, *params)["result"]

    def logged(self, method, *params):
        log(f"{method} -> {json.dumps(self(method, *params))}")

    def close(self):
        self("session.logout")


class Xenopsd:
    def __init__(self):
        self.connection = Unix("var/run/message-switch/sock")
        self.name, self.last = f"hook:{os.getpid()}", None
        self.http("GET", f"/login/{self.name}")
        self.http("GET", f"/transient/{self.name}")

    def http(self, method, path, body=None):
        self.connection.request(method, path, body)
        return self.connection.getresponse().read()

    def __call__(self, method, **params):
        call = {"method": method, "params": [dict(params, debug_info="hook")], "id": 1}
        self.http("POST", f"/request/{QUEUE}/{self.name}", json.dumps(call))
        ask = {"timeout": 5.0, "queues": [self.name]}
        if self.last is not None:
            ask["from"] = self.last
        reply = json.loads(self.http("POST", "/transfer", json.dumps(ask)))
        self.last = reply["next"]
        return json.loads(reply["messages"][0][1]["payload"])

    def add(self, arguments):
        vm = self("VM.stat", id=UUID)["result"][0]
        vm["platformdata"]["device-model-args"] = arguments
        log("VM.add " + json.dumps(self("VM.add", vm=vm)))

    def arguments(self):
        return self("VM.stat", id=UUID)["result"][0]["platformdata"].get("device-model-args")


def pause():
    """The recorded hooks slept three seconds, to let xapi do whatever it would."""
    time.sleep(0.2)
