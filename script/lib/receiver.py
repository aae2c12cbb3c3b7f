"""Hears webhooks and prints what they are about. Arguments: address, port, and for HTTPS a certificate and its key."""

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(event["type"], self.headers["webhook-id"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


address, port, *files = sys.argv[1:]
server = ThreadingHTTPServer((address, int(port)), Receiver)
if files:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    server.socket = context.wrap_socket(server.socket, server_side=True)
scheme = "https" if files else "http"
print(f"listening on {scheme}://{address}:{server.server_port}/, stop with Ctrl-C", flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
