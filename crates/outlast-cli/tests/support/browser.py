"""A browser without a window for addresses whose pages ask nothing: follows redirects with cookies."""
import http.cookiejar
import sys
import urllib.request

jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())


class Stop(urllib.request.HTTPRedirectHandler):
    """With --stop: prints where the browser would end, and does not go there."""

    def redirect_request(self, request, file, code, message, headers, address):
        if "/callback" in address:
            print(address, flush=True)
            sys.exit(0)
        return super().redirect_request(request, file, code, message, headers, address)


arguments = [word for word in sys.argv[1:] if word != "--stop"]
handlers = [jar, Stop()] if "--stop" in sys.argv else [jar]
browser = urllib.request.build_opener(*handlers)
page = browser.open(arguments[0], timeout=30).read()
if b'name="sub"' in page:
    # One page that asks who it is, and nothing else.
    browser.open(arguments[0], data=b"sub=alice", timeout=30).read()
