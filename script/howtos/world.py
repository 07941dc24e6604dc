"""A mail server of example.nl in a clean root, before gatepost comes, and the world around it on loopback addresses.

The world is real to the server: a DNS that is the root's, clients with addresses
of their own, a mail server that takes what goes out.
"""

from __future__ import annotations

from pathlib import Path

from script.packages.trial.clean_root import CleanRoot
from tests.harness.keys import KeyPair

PACKAGES = ("python3", "postfix", "dovecot-core", "bind9", "bind9-dnsutils", "ssl-cert", "procps", "iproute2")
"""What the server has before."""
OURS, FRIEND, USER, NEWCOMER, SPOOFER = (
    "192.0.2.25",
    "192.0.2.10",
    "192.0.2.77",
    "198.51.100.7",
    "203.0.113.66",
)
TAKEN = "/srv/elsewhere"
"""Where the friend's server lays down what it takes, a file a mail."""
MAILBOX = "/var/mail/bert"
_ZONE = "/etc/bind/world.zone"
_ROOT_SERVER = "198.41.0.4"

_RECORDS = f"""\
$TTL 60
. IN SOA localhost. root.localhost. 1 3600 600 86400 30
. IN NS a.root-servers.net.
a.root-servers.net. IN A {_ROOT_SERVER}
localhost. IN A 127.0.0.1
example.nl. IN MX 10 mail.example.nl.
example.nl. IN TXT "v=spf1 mx -all"
mail.example.nl. IN A {OURS}
mail.example.nl. IN TXT "v=spf1 a -all"
25.2.0.192.in-addr.arpa. IN PTR mail.example.nl.
_dmarc.example.nl. IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.nl"
example.org. IN MX 10 mx.example.org.
example.org. IN TXT "v=spf1 ip4:{FRIEND} -all"
mx.example.org. IN A {FRIEND}
10.2.0.192.in-addr.arpa. IN PTR mx.example.org.
_dmarc.example.org. IN TXT "v=DMARC1; p=none"
bank.example. IN TXT "v=spf1 ip4:203.0.113.5 -all"
_dmarc.bank.example. IN TXT "v=DMARC1; p=reject"
evil.example. IN MX 10 mail.evil.example.
mail.evil.example. IN A {SPOOFER}
newcomer.example. IN MX 10 mx.newcomer.example.
mx.newcomer.example. IN A {NEWCOMER}
7.100.51.198.in-addr.arpa. IN PTR mx.newcomer.example.
"""

_FILES = {
    "/etc/hosts": f"127.0.0.1 localhost\n{OURS} mail.example.nl mail\n",
    "/etc/bind/named.conf": (
        'options { directory "/var/cache/bind"; recursion no; dnssec-validation no; listen-on-v6 { none; };\n'
        f"  listen-on {{ 127.0.0.1; {_ROOT_SERVER}; }}; }};\n"
        f'zone "." {{ type primary; file "{_ZONE}"; }};\n'
    ),
    "/etc/dovecot/local.conf": (
        "protocols =\nauth_mechanisms = plain\nauth_username_format = %n\nservice auth {\n"
        "  unix_listener /var/spool/postfix/private/auth {\n    user = postfix\n  }\n}\n"
    ),
    "/etc/systemd/system/addresses.service": (
        "[Unit]\nDefaultDependencies=no\nBefore=network.target\nWants=network.target\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=ip link set lo up\n"
        + "".join(
            f"ExecStart=ip address add {each}/32 dev lo\n"
            for each in (OURS, FRIEND, USER, NEWCOMER, SPOOFER, _ROOT_SERVER)
        )
        + "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/systemd/system/elsewhere.service": (
        "[Unit]\nRequires=addresses.service\nAfter=addresses.service\n"
        f"[Service]\nWorkingDirectory={TAKEN}\nExecStart=smtp-sink -u postfix -d mail. {FRIEND}:25 100\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
}

_PREPARE = f"""\
printf '%s\\n' 'postfix postfix/main_mailer_type select Internet Site' \\
    'postfix postfix/mailname string mail.example.nl' | debconf-set-selections
apt-get -qq -y --no-install-recommends install {" ".join(PACKAGES)}
useradd --create-home bert
useradd --create-home anna
printf 'anna:secret\\n' | chpasswd
install -d -o postfix {TAKEN}
postconf -e 'mydestination = example.nl, mail.example.nl, localhost' 'inet_interfaces = 127.0.0.1, {OURS}' \\
    'inet_protocols = ipv4' 'smtp_bind_address = {OURS}' myhostname=mail.example.nl queue_run_delay=5s \\
    minimal_backoff_time=5s maximal_backoff_time=10s smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth
postconf -M 'submission/inet=submission inet n - y - - smtpd'
postconf -P submission/inet/smtpd_tls_security_level=encrypt submission/inet/smtpd_sasl_auth_enable=yes
systemctl daemon-reload
systemctl enable --now addresses elsewhere
systemctl restart named postfix dovecot
"""


def prepare(root: CleanRoot, friend: KeyPair) -> None:
    """Make the server and its world; mail of example.org is signed with the key of *friend*."""
    for name, text in {**_FILES, _ZONE: f"{_RECORDS}{_record(friend.name, friend.record)}"}.items():
        file = root.path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    # Dpkg leaves files that are there before their package as they are.
    root.run(
        f"export UCF_FORCE_CONFFOLD=1; {_PREPARE.replace('-qq -y', '-qq -y -o Dpkg::Options::=--force-confold', 1)}"
    )


def publish(root: CleanRoot, keys: Path) -> None:
    """Put the records of all keys below *keys*, DOMAIN/SELECTOR.private, into the DNS, as far as they are not there."""
    zone = root.path(_ZONE)
    for file in sorted(root.path(str(keys)).glob("*/*.private")):
        inside = f"{keys}/{file.parent.name}/{file.name}"
        name = f"{file.stem}._domainkey.{file.parent.name}"
        if f"{name}. " not in zone.read_text():
            public = root.run(f"openssl pkey -in {inside} -pubout -outform DER | base64 --wrap=0")
            with zone.open("a") as end:
                end.write(_record(name, f"v=DKIM1; k=rsa; p={public}"))
    root.run("rndc reload")


def _record(name: str, text: str) -> str:
    strings = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
    return f"{name}. IN TXT ( {strings} )\n"
