"""JupyterHub of one instance, as `/etc/poolhouse/web.json` says.

"signIn": "gateway": it listens on the instance's address, and believes what the gateway has signed, and nothing else.
"signIn": "pam":     it listens on loopback, takes the machine's own passwords, and nginx speaks TLS with the world.
"""
import json
import socket
import sys
import time

sys.path.insert(0, "/usr/lib/poolhouse")

with open("/etc/poolhouse/web.json") as file:
    web = json.load(file)

c = get_config()  # noqa: F821 (JupyterHub provides it)


def wait_for_address(address):
    """The network may come after us."""
    for _ in range(300):
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
                return
            except OSError:
                time.sleep(0.1)


c.JupyterHub.hub_bind_url = "http://127.0.0.1:8082/"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:8083/"
c.JupyterHub.cookie_secret_file = "/var/lib/jupyterhub/cookie_secret"
c.JupyterHub.db_url = "sqlite:////var/lib/jupyterhub/jupyterhub.sqlite"
c.ConfigurableHTTPProxy.pid_file = "/var/lib/jupyterhub/proxy.pid"
# People's servers live on when the hub is restarted.
c.JupyterHub.cleanup_servers = False
# Who comes back to a page of a server that ended with its machine gets a new one, and is not asked first.
c.JupyterHub.implicit_spawn_seconds = 0.1

if web["signIn"] == "gateway":
    from poolhouse_authenticator import PoolhouseAuthenticator

    wait_for_address(web["address"])
    c.JupyterHub.bind_url = "http://%s:8000/" % web["address"]
    c.JupyterHub.authenticator_class = PoolhouseAuthenticator
    c.PoolhouseAuthenticator.audience = web["audience"]
    c.PoolhouseAuthenticator.key = web["key"]
    c.PoolhouseAuthenticator.auto_login = True
else:
    c.JupyterHub.bind_url = "http://127.0.0.1:8081/"
    c.JupyterHub.authenticator_class = "pam"
    c.PAMAuthenticator.open_sessions = False

c.Authenticator.admin_users = set()
c.Authenticator.blocked_users = {"root", "daemon", "bin", "sys", "nobody", "www-data"}

c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.LocalProcessSpawner.shell_cmd = ["/bin/bash", "-l", "-c"]
c.Spawner.cmd = ["jupyterhub-singleuser"]
c.Spawner.ip = "127.0.0.1"
c.Spawner.notebook_dir = "~/notebooks"
c.Spawner.default_url = "/tree"
c.Spawner.http_timeout = 60
c.Spawner.start_timeout = 60


def make_notebooks(spawner):
    """The notebook folder is the person's own; it is made as them, so that a planted link leads nowhere they may not go."""
    import os
    import pwd
    import subprocess

    person = pwd.getpwnam(spawner.user.name)
    if person.pw_uid < 1000:
        raise PermissionError("system accounts have no notebooks")

    def become():
        os.initgroups(person.pw_name, person.pw_gid)
        os.setgid(person.pw_gid)
        os.setuid(person.pw_uid)

    subprocess.run(["mkdir", "-p", os.path.join(person.pw_dir, "notebooks")], preexec_fn=become, check=True)


c.Spawner.pre_spawn_hook = make_notebooks
