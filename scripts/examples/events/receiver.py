"""An endpoint for Certwright's events: checks who sends them and prints them.

    python3 receiver.py --certificate cert.pem --private-key key.pem --keys keys.json

keys.json has the keys of signatures by the destination's name, {"siem": "..."}.
docs/events.md says what is checked here, and why. Standard library only.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import re
import ssl
import sys
import time

SIGNED = ("@method", "@authority", "@path", "content-digest")
PARAMETERS = re.compile(
    r'certwright=(\("@method" "@authority" "@path" "content-digest"\);created=(\d+);keyid="([a-z0-9-]+)";alg="hmac-sha256")')
MAX_AGE = 5 * 60  # seconds that clocks and networks may be off
MAX_BODY = 64 << 10


def verified(method, authority, path, headers, body, keys, now):
    """Reports whether the request was signed by one of the keys, just now."""
    parameters = PARAMETERS.fullmatch(headers.get("Signature-Input", ""))
    if not parameters or abs(now - int(parameters[2])) > MAX_AGE or parameters[3] not in keys:
        return False
    digest = "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"
    if not hmac.compare_digest(headers.get("Content-Digest", ""), digest):
        return False
    values = (method, authority.lower().removesuffix(":443"), path, digest)
    lines = [f'"{name}": {value}' for name, value in zip(SIGNED, values)]
    lines.append(f'"@signature-params": {parameters[1]}')
    mac = hmac.digest(keys[parameters[3]].encode(), "\n".join(lines).encode(), "sha256")
    return hmac.compare_digest(headers.get("Signature", ""), "certwright=:" + base64.b64encode(mac).decode() + ":")


class Receiver(http.server.BaseHTTPRequestHandler):
    keys = {}
    seen = set()  # ids; a real one keeps them where its events are

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        if length > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        path = self.path.partition("?")[0]
        if not verified("POST", self.headers.get("Host", ""), path, self.headers, body, self.keys, time.time()):
            return self.answer(401)
        event = json.loads(body)
        if event["id"] not in self.seen:  # else it came before, and its answer was lost
            print(event["time"], event["type"], event["subject"], event["data"]["Version"], flush=True)
            self.seen.add(event["id"])
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8447)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--private-key", required=True)
    parser.add_argument("--keys", required=True)
    args = parser.parse_args()
    with open(args.keys) as f:
        Receiver.keys = json.load(f)
    server = http.server.ThreadingHTTPServer((args.address, args.port), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.certificate, args.private_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening on port", server.server_address[1], file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
