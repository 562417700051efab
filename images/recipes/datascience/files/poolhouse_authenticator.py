"""Signs in whom the gateway has signed in: by an assertion for this machine, good for seconds, and once."""
import re
import time

import jwt
from jupyterhub.auth import Authenticator
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import url_path_join
from tornado import web
from traitlets import Unicode

LONGEST = 60
# The library looks at whole seconds: without it, what was signed in this very second has not begun.
LEEWAY = 2
# An assertion from before may have been used then, and nobody remembers.
BEGAN = time.time()
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


class Assertions:
    """What may be believed. Those that were used are remembered until they would have ended anyway."""

    def __init__(self, key, audience, now=time.time, began=BEGAN):
        self.key, self.audience, self.now = key, audience, now
        self.began = began
        self.used = {}

    def user_of(self, text):
        """The user's name; None where this is nothing to be believed."""
        try:
            said = jwt.decode(
                text,
                self.key,
                algorithms=["EdDSA"],
                audience=self.audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "sub", "aud", "jti"]},
            )
        except jwt.PyJWTError:
            return None
        name, once, begun, end = said["sub"], said["jti"], said["iat"], said["exp"]
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return None
        if not isinstance(once, str) or not 16 <= len(once) <= 64:
            return None
        if begun < self.began or end - begun > LONGEST or once in self.used:
            return None
        now = self.now()
        self.used = {known: until for known, until in self.used.items() if until > now - 2 * LEEWAY}
        self.used[once] = end
        return name


class AssertionHandler(BaseHandler):
    async def get(self):
        user = await self.login_user({"assertion": self.request.headers.get("X-Poolhouse-Assertion", "")})
        if user is None:
            raise web.HTTPError(403, "Only the front door of this pool signs people in.")
        self.redirect(self.get_next_url(user))


class PoolhouseAuthenticator(Authenticator):
    key = Unicode(config=True, help="The gateway's public key, PEM (Ed25519)")
    audience = Unicode(config=True, help="This machine's name")
    _assertions = None

    def login_url(self, base_url):
        return url_path_join(base_url, "poolhouse-login")

    def get_handlers(self, app):
        return [("/poolhouse-login", AssertionHandler)]

    async def authenticate(self, handler, data):
        if not isinstance(data, dict) or set(data) != {"assertion"}:
            return None
        return self.assertions.user_of(data["assertion"])

    @property
    def assertions(self):
        if self._assertions is None:
            self._assertions = Assertions(self.key, self.audience)
        return self._assertions
