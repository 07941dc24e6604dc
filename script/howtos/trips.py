"""The ways that lead through the pages, and the peers that some begin with, as Debian and the guides set them up."""

from __future__ import annotations

from dataclasses import dataclass

from script.howtos.host import CONFIG

_OURS = (
    "printf 'authserv_id: mail.example.nl\\ndaemons:\\n  dkim-verify: {socket: \"inet:8891@127.0.0.1\"}\\n'"
    f" >{CONFIG}"
)
_PUT_IN = f"(echo 'authserv_id: mail.example.nl'; cat imported.yaml) >{CONFIG}"
_ASKED = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, check_policy_service"
_SIGNED, _VERIFIED, _JUDGED = r"(?m)^DKIM-Signature:", r"dkim=pass ", r"dmarc=pass "
_SPF = r"(?m)^(?:Received-SPF: Pass|Authentication-Results: .*spf=pass) "


@dataclass(frozen=True)
class Trip:
    """A way through a page.

    ``before`` are its sections up to the move, and ``move`` those under mail;
    ``packages`` the peer's, ``start`` what has it work once its files are
    written, ``put_in`` how its imported configuration comes into ours. Every
    mail then bears ``inward`` or ``outward`` once, by whichever. ``patient``
    says that mail is put off meanwhile.
    """

    page: str
    before: tuple[str, ...]
    move: tuple[str, ...]
    packages: str = ""
    start: str = ""
    put_in: str = ""
    inward: str = ""
    outward: str = ""
    patient: bool = False


def _opendkim(section: str, *, patient: bool) -> Trip:
    return Trip(
        page="howto/from-opendkim.md",
        before=("Move from OpenDKIM", "Take the configuration over"),
        move=(section,),
        packages="opendkim opendkim-tools",
        start=(
            "install -d /etc/opendkim/keys/example.nl; cd /etc/opendkim/keys/example.nl\n"
            "opendkim-genkey -b 2048 -d example.nl -s mail; chown -R opendkim: /etc/opendkim\n"
            "sed 's/mail._domainkey/mail._domainkey.example.nl./' mail.txt >>/etc/bind/world.zone; rndc reload\n"
            "cp /etc/opendkim.conf /root; echo 'Nameservers 127.0.0.1' >>/etc/opendkim.conf\n"
            "systemctl restart opendkim; cp /root/opendkim.conf /etc; postconf -e smtpd_milters=inet:127.0.0.1:8891"
            " non_smtpd_milters=inet:127.0.0.1:8891 milter_default_action=tempfail; systemctl restart postfix"
        ),
        inward=_VERIFIED,
        outward=_SIGNED,
        patient=patient,
    )


def _opendmarc(section: str, *, patient: bool) -> Trip:
    return Trip(
        page="howto/from-opendmarc.md",
        before=("Move from OpenDMARC", "Take the configuration over"),
        move=(section,),
        packages="opendmarc",
        start=(
            "systemctl restart opendmarc\n"
            f"{_OURS}\n"
            "systemctl enable --now gatepost@dkim-verify.socket gatepost.target\n"
            "postconf -e 'smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8893' milter_default_action=tempfail\n"
            "systemctl restart postfix"
        ),
        put_in=f"sed -n '/^  dmarc-enforce/,$p' imported.yaml >>{CONFIG}",
        inward=_JUDGED,
        patient=patient,
    )


def _postgrey(section: str) -> Trip:
    return Trip(
        page="howto/from-postgrey.md",
        before=("Move from postgrey",),
        move=(section,),
        packages="postgrey",
        start=(
            "systemctl restart postgrey\n"
            f"postconf -e 'smtpd_recipient_restrictions = {_ASKED} inet:127.0.0.1:10023'; systemctl restart postfix"
        ),
        put_in=_PUT_IN,
        patient=section == "With a pause",
    )


TRIPS = {
    "opendkim": _opendkim("Without a pause", patient=False),
    "opendkim-pause": _opendkim("With a pause", patient=True),
    "opendmarc": _opendmarc("Without a pause", patient=False),
    "opendmarc-pause": _opendmarc("With a pause", patient=True),
    "policyd-spf": Trip(
        page="howto/from-policyd-spf.md",
        before=("Move from policyd-spf",),
        move=("The change",),
        packages="postfix-policyd-spf-python",
        start=(
            "postconf -M 'policyd-spf/unix=policyd-spf unix - n n - 0 spawn"
            " user=policyd-spf argv=/usr/bin/policyd-spf'\n"
            f"postconf -e 'smtpd_recipient_restrictions = {_ASKED} unix:private/policyd-spf'\n"
            "systemctl restart postfix"
        ),
        put_in=_PUT_IN,
        inward=_SPF,
    ),
    "postgrey": _postgrey("Without a pause, and with nobody waiting"),
    "postgrey-pause": _postgrey("With a pause"),
}
"""By name; the tutorial has a way of its own."""
