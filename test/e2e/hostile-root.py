"""What a hostile root inside an instance tries, and what somebody who watches sees of it. Prints one JSON document.

scan  TARGETS        every TCP port of each target, UDP too where asked: [{"address", "mac", "udp"}], by that neighbour
forge FRAMES         sends frames as they are: hexadecimal
watch INTERFACE      prints "ready", then, when its input ends, which marked frames have come in
door  REQUESTS       asks at the instance's own door, one after the other: [text of an HTTP request]
flood COUNT          the same bad request very often, by many at once
hold  COUNT          opens connections to the door and says nothing; prints how many were closed, and after how long
"""
import json
import os
import select
import socket
import struct
import sys
import threading
import time

DOOR = "/var/lib/poolhouse/control/control.sock"
MARK = b"HOSTILE-"
SOURCE_PORT = 54321


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def own():
    with open("/sys/class/net/eth0/address") as file:
        mac = bytes.fromhex(file.read().strip().replace(":", ""))
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(("192.0.2.1", 9))
    return mac, socket.inet_aton(probe.getsockname()[0])


def packets(source, target, with_udp):
    """A SYN for every port, and a datagram."""
    pseudo = source + target + struct.pack("!BBH", 0, 6, 20)
    ip_tcp = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + source + target
    ip_tcp = ip_tcp[:10] + struct.pack("!H", checksum(ip_tcp)) + ip_tcp[12:]
    ip_udp = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + source + target
    ip_udp = ip_udp[:10] + struct.pack("!H", checksum(ip_udp)) + ip_udp[12:]
    for port in range(1, 65536):
        tcp = struct.pack("!HHIIBBHHH", SOURCE_PORT, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
        yield ip_tcp + tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        if with_udp:
            yield ip_udp + struct.pack("!HHHH", SOURCE_PORT, port, 8, 0)


def scan(targets):
    mac, address = own()
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    link.bind(("eth0", 0x0800))
    found = {one["address"]: {"open": set(), "refused": set(), "unreachable": set()} for one in targets}
    stopping = threading.Event()

    def listen():
        while not stopping.is_set():
            if not select.select([link], [], [], 0.1)[0]:
                continue
            frame, where = link.recvfrom(2048)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            packet = frame[14:]
            known = found.get(socket.inet_ntoa(packet[12:16]))
            body = packet[(packet[0] & 15) * 4:]
            if packet[9] == 1 and body[0] == 3:  # ICMP: it holds what it is about
                inner = body[8:]
                known = found.get(socket.inet_ntoa(inner[16:20]))
                if known is not None and len(inner) >= 24:
                    known["unreachable"].add(struct.unpack("!H", inner[22:24])[0])
            elif known is not None and packet[9] == 6 and struct.unpack("!H", body[2:4])[0] == SOURCE_PORT:
                known["open" if body[13] & 2 else "refused"].add(struct.unpack("!H", body[:2])[0])
            elif known is not None and packet[9] == 17 and struct.unpack("!H", body[2:4])[0] == SOURCE_PORT:
                known["open"].add(struct.unpack("!H", body[:2])[0])

    thread = threading.Thread(target=listen)
    thread.start()
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("eth0", 0))
    for one in targets:
        head = bytes.fromhex(one["mac"].replace(":", "")) + mac + b"\x08\x00"
        for packet in packets(address, socket.inet_aton(one["address"]), one.get("udp", False)):
            while True:
                try:
                    sender.send(head + packet)
                    break
                except OSError:
                    time.sleep(0.001)  # the queue is full
    time.sleep(1)
    stopping.set()
    thread.join()
    return {name: {kind: sorted(ports) for kind, ports in seen.items()} for name, seen in found.items()}


def forge(frames):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("eth0", 0))
    for frame in frames:
        link.send(bytes.fromhex(frame))
    return len(frames)


def watch(interface):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    link.bind((interface, 0x0003))
    print("ready", flush=True)
    seen = set()
    ending = False
    while True:
        readable = select.select([link] if ending else [link, sys.stdin], [], [], 0.3 if ending else None)[0]
        if not readable:
            return sorted(seen)
        if sys.stdin in readable and not sys.stdin.read():
            ending = True
        if link in readable:
            frame, where = link.recvfrom(4096)
            at = frame.find(MARK)
            if at >= 0 and where[2] != socket.PACKET_OUTGOING:
                seen.add(frame[at + len(MARK):].split(b".")[0].decode("latin-1"))


def ask(text):
    """The status that the door answers with; 0 where it hangs up."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(20)
    try:
        link.connect(DOOR)
        try:
            link.sendall(text.encode("latin-1"))
        except OSError:
            pass  # it has heard enough: its answer may be there
        answer = b""
        while True:
            more = link.recv(65536)
            if not more:
                break
            answer += more
        head, _, body = answer.decode().partition("\r\n\r\n")
        document = body[body.find("{"):body.rfind("}") + 1]  # it may come in chunks
        return {"status": int(head.split(" ")[1]) if head else 0, "body": json.loads(document or "{}")}
    except OSError:
        return {"status": 0, "body": {}}
    finally:
        link.close()


def flood(count):
    body = json.dumps({"account": "nobody", "share": "x", "target": "/etc"})
    text = "POST /v1/mounts HTTP/1.1\r\nhost: c\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    statuses = {}

    def some():
        for _ in range(count // 20):
            status = ask(text)["status"]
            statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=some) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def hold(count):
    begun = time.monotonic()
    links = []
    for number in range(count):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.connect(DOOR)
        # Some say nothing at all, some begin a request and go silent.
        if number % 2:
            try:
                link.send(b"POST /v1/mounts HTTP/1.1\r\ncontent-length: 10\r\n")
            except OSError:
                pass  # it was one too many, and is closed already
        links.append(link)
    open_links = set(links)
    while open_links and time.monotonic() - begun < 60:
        for link in select.select(list(open_links), [], [], 1)[0]:
            try:
                if link.recv(4096):
                    continue
            except OSError:
                pass
            open_links.discard(link)
    return {"held": len(links), "stillOpen": len(open_links), "seconds": time.monotonic() - begun}


WORDS = {
    "scan": lambda text: scan(json.loads(text)),
    "forge": lambda text: forge(json.loads(text)),
    "watch": watch,
    "door": lambda text: [ask(one) for one in json.loads(text)],
    "flood": lambda text: flood(int(text)),
    "hold": lambda text: hold(int(text)),
}
print(json.dumps(WORDS[sys.argv[1]](sys.argv[2])))
