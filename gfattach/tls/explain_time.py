"""When certificates are valid, and whose clock is wrong when they are not."""

from __future__ import annotations

from datetime import datetime, timedelta

from gfattach.tls.certificate import Certificate
from gfattach.tls.certificate import now as this_clock
from gfattach.tls.fault import NOT_YET, Fault
from gfattach.tls.inspection import Inspection
from gfattach.tls.part import Part, bad, good, warned
from gfattach.tls.purpose import Purpose

#: Days before its end from which on a certificate is warned about.
SOON_DAYS = 14

#: What two clocks that are kept may differ by, a slow answer included.
CLOCKS_DIFFER = timedelta(minutes=2)


def validity(inspection: Inspection, where: str, purpose: Purpose, now: datetime | None = None) -> Part:
    """What the dates of the server's certificates, and of its authority's, come to at `now`."""
    now = now or this_clock()
    held = (*inspection.chain, *([inspection.anchor] if inspection.anchor is not None else []))
    early = next((c for c in held if c.not_before > now), None)
    late = next((c for c in held if c.not_after < now), None)
    ours = f"date -u (it says {now:%Y-%m-%d %H:%M} here)"
    certificate = early or late
    if certificate is not None and (differing := _differing_clock(certificate, inspection.clock, now)):
        return bad(
            "validity",
            "clock",
            f"the clock of this machine is {differing} that of {where}, and "
            f"{_whose(certificate, inspection, where)} is valid from {certificate.not_before:%Y-%m-%d %H:%M} "
            f"to {certificate.not_after:%Y-%m-%d %H:%M} UTC",
            "by the server's clock it is valid: a clock that is wrong breaks every TLS connection",
            f"see the clock: {ours}; set it: timedatectl set-ntp true",
        )
    if early is not None:
        return bad(
            "validity",
            "not-yet",
            f"{_whose(early, inspection, where)} is not valid before {early.not_before:%Y-%m-%d %H:%M} UTC",
            "it was made for later, or the clock here or where it was made is wrong",
            f"see the clock: {ours}",
            "ask the operator when it was made",
        )
    if late is not None:
        return bad(
            "validity",
            "expired",
            f"{_whose(late, inspection, where)} expired on {late.not_after:%Y-%m-%d %H:%M} UTC, "
            f"{_span(now - late.not_after)} ago",
            "no client takes it any more",
            "ask the operator to renew it, and to restart what serves it",
            f"see the clock: {ours}",
        )
    if inspection.fault is Fault.TIME:
        yet = inspection.verify_code == NOT_YET
        return bad(
            "validity",
            "not-yet" if yet else "expired",
            f"the certificate of {where}, or its authority's, {'is not valid yet' if yet else 'has expired'}",
            "no client takes it",
            f"see the clock: {ours}",
            "ask the operator to renew it, and to restart what serves it",
        )
    if not held:
        return good("validity", f"the certificate of {where} is valid now")
    first = min(held, key=lambda c: c.not_after)
    days = first.days_left(now)
    until = f"valid until {first.not_after:%Y-%m-%d}, {days:.0f} days from now"
    data = {"expires": first.not_after.isoformat(), "days_left": round(days, 2)}
    if days < SOON_DAYS:
        left = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
        return warned(
            "validity",
            "soon",
            f"{_whose(first, inspection, where)} expires on {first.not_after:%Y-%m-%d %H:%M} UTC, in {left}",
            "from then on no client takes it, and every build goes without what it serves",
            "tell the operator",
            **data,
        )
    return good("validity", f"{_whose(first, inspection, where)} is {until}", **data)


def _whose(certificate: Certificate, inspection: Inspection, where: str) -> str:
    own = inspection.chain and certificate is inspection.chain[0]
    return f"the certificate of {where}" if own else f"the authority {certificate.subject}"


def _differing_clock(certificate: Certificate, theirs: datetime | None, now: datetime) -> str:
    """How this clock stands to the server's, when that one makes the certificate valid; else ""."""
    if theirs is None or abs(theirs - now) < CLOCKS_DIFFER:
        return ""
    if not certificate.not_before <= theirs <= certificate.not_after:
        return ""
    return f"{_span(theirs - now)} behind" if theirs > now else f"{_span(now - theirs)} before"


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours >= 36:
        return f"{hours / 24:.0f} days"
    return f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"
