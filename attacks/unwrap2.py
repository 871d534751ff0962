import base64, json, logging, io, traceback, threading, http.server
buf=io.StringIO(); logging.basicConfig(level=logging.DEBUG, stream=buf)
from authkit.wire.wrapping_token import WrappingToken
from authkit.wire.unwrapping import unwrap
from authkit.wire.api_tls import APITLS
class H(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        b=b'{"data":{"ServerKey":"KEYSECRET"}}'; self.send_response(200); self.send_header("Content-Length",str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self,*a): pass
s=http.server.HTTPServer(("127.0.0.1",0),H); threading.Thread(target=s.serve_forever,daemon=True).start()
p=s.server_port
def tok(addr, tail=""): return "eyJ." + base64.urlsafe_b64encode(json.dumps({"addr":addr}).encode()).decode().rstrip("=") + ".SIGNATURESECRET"+tail
for name,(addr,tail) in {"plain":("",""),"newline":("","\nx"),"trailing":("","\n"),"userinfo":("u:PWSECRET@",""),"query":("","")}.items():
    buf.truncate(0)
    try:
        t=WrappingToken.parse(tok(f"http://{addr}127.0.0.1:{p}"+("/?q=PWSECRET" if name=="query" else ""),tail)); print(name, "ok", unwrap(t, APITLS()))
    except BaseException as e:
        full="".join(traceback.format_exception(e)); print(name, type(e).__name__, str(e)[:150], "| text:", "SECRET" in str(e), "| traceback:", "SECRET" in full)
    print("   log:", [l[:160] for l in buf.getvalue().splitlines() if "SECRET" in l])
s.shutdown()
