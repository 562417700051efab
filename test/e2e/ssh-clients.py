"""Clients in Python against the front door: `ssh-clients.py paramiko|asyncssh HOST USER KEY`. Says 'well' when all went well."""
import asyncio
import hashlib
import os
import sys


def with_paramiko(host, user, key):
    import paramiko

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(host, username=user, key_filename=key, look_for_keys=False, allow_agent=False, timeout=30)
    _, out, err = client.exec_command("id -un; echo trouble >&2; exit 7")
    assert out.read() == (user + "\n").encode() and err.read() == b"trouble\n"
    assert out.channel.recv_exit_status() == 7

    # A terminal: what is typed comes back, a new size is known inside, and the shell ends.
    shell = client.invoke_shell("vt100", 80, 24)
    shell.resize_pty(101, 33)
    shell.send(b"stty size; echo term=$TERM; exit 3\n")
    text = b""
    while True:
        more = shell.recv(4096)
        if not more:
            break
        text += more
    assert b"33 101" in text and b"term=vt100" in text, text
    assert shell.recv_exit_status() == 3

    sftp = client.open_sftp()
    content = os.urandom(5_000_000)
    with sftp.open("from-paramiko", "wb") as file:
        file.set_pipelined(True)
        file.write(content)
    sftp.rename("from-paramiko", "renamed")
    assert "renamed" in sftp.listdir(".")
    with sftp.open("renamed") as file:
        file.prefetch()
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(content).digest()
    sftp.remove("renamed")

    tunnel = client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 0))
    assert tunnel.recv(8) == b"SSH-2.0-"
    client.close()


async def with_asyncssh(host, user, key):
    import asyncssh

    async with asyncssh.connect(host, username=user, client_keys=[key], known_hosts=None) as connection:
        many = await asyncio.gather(*(connection.run("echo %d" % number) for number in range(60)))
        assert [one.stdout for one in many] == ["%d\n" % number for number in range(60)]
        killed = await connection.run("kill -TERM $$")
        assert killed.exit_signal is not None and killed.exit_signal[0] == "TERM", killed.exit_signal
        async with connection.start_sftp_client() as sftp:
            await sftp.makedirs("deep/er", exist_ok=True)
            async with sftp.open("deep/er/file", "wb") as file:
                await file.write(b"x" * 3_000_000)
            assert (await sftp.stat("deep/er/file")).size == 3_000_000
            await sftp.rmtree("deep")
        # What is sent has an end before the program has one.
        async with connection.create_process("sha256sum") as process:
            process.stdin.write("hello")
            process.stdin.write_eof()
            assert (await process.stdout.read()).startswith(hashlib.sha256(b"hello").hexdigest())
        async with connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", 22) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.get_port())
            assert (await reader.readexactly(8)) == b"SSH-2.0-"
            writer.close()


which, *where = sys.argv[1:]
if which == "paramiko":
    with_paramiko(*where)
else:
    asyncio.run(with_asyncssh(*where))
print("well")
