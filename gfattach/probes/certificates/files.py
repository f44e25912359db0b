"""The files of a TLS endpoint: can each program that needs one read it, and take what it holds?"""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from gfattach.core.finding import Finding, Probe, fail, ok, warn
from gfattach.core.quote import command, word
from gfattach.probes.certificates.subject import CertificateFileError, CertificateInquiry, CertificateSubject
from gfattach.tls.certificate import Certificate, now, read_der, split_pem
from gfattach.tls.pem import KeyForm, key_form, read
from gfattach.tls.purpose import Purpose

_SILENT = "Bazel ends with 37 and says nothing when a TLS file is not right"


def _ask_files(inquiry: CertificateInquiry) -> Finding:
    subject = inquiry.subject
    if subject.context is not None:
        return ok("certificates.files.ok", "whom to trust has been read already")
    file = subject.ca_file
    if file is None:
        return _platform(subject.purpose)
    try:
        content = file.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return fail(
            "certificates.files.missing" if missing else "certificates.files.unreadable",
            f"the authority file {file} cannot be read: {(error.strerror or str(error)).lower()}",
            _SILENT,
            f"look at it: ls -l {word(file)}",
            subject.purpose.authority_hint,
        )
    authorities = _readable(content)
    if not authorities:
        return fail(
            "certificates.files.empty",
            f"{file} holds no certificate that can be read",
            _SILENT,
            f"see what it is: openssl x509 -noout -subject -enddate -in {word(file)}",
        )
    moment = now()
    if all(authority.not_after < moment for authority in authorities):
        last = max(authorities, key=lambda authority: authority.not_after)
        return fail(
            "certificates.files.expired",
            f"{file} holds {last.subject}, which expired on {last.not_after:%Y-%m-%d}, and no other",
            "nothing that it signed is taken any more",
            "fetch the authority's file again from where it came, or ask the operator for it",
        )
    names = ", ".join(authority.subject for authority in authorities[:3])
    return ok("certificates.files.ok", f"{file} holds {names}", authorities=len(authorities))


def _platform(purpose: Purpose) -> Finding:
    paths = ssl.get_default_verify_paths()
    file = Path(paths.cafile) if paths.cafile else None
    directory = Path(paths.capath) if paths.capath else None
    if (file is None or not file.exists()) and (directory is None or not any(directory.iterdir())):
        return fail(
            "certificates.files.no-platform",
            "this machine has no certificate authorities where OpenSSL looks for them",
            "no server can be verified without a file of its own",
            "apt-get install ca-certificates",
            purpose.authority_hint,
        )
    return ok("certificates.files.ok", f"this machine's trust store decides: {file or directory}")


def _readable(content: bytes) -> list[Certificate]:
    found = []
    for der in split_pem(content):
        try:
            found.append(read_der(der))
        except ValueError:
            continue
    return found


def _ask_key(inquiry: CertificateInquiry) -> Finding:
    subject = inquiry.subject
    if subject.certificate is None:
        return ok("certificates.key.ok", "no client certificate was named")
    key = subject.key or subject.certificate
    try:
        pem = read(key, "PRIVATE KEY", CertificateFileError)
        content = read(subject.certificate, "CERTIFICATE", CertificateFileError)
    except CertificateFileError as error:
        return fail("certificates.key.unreadable", error.fact, _SILENT, *error.hints)
    form = key_form(pem)
    if form is KeyForm.ENCRYPTED:
        return fail(
            "certificates.key.encrypted",
            f"the key in {key} is encrypted",
            "neither Bazel nor gfattach asks for its password",
            "take the password off: "
            f"{command('openssl', 'pkey', '-in', key, '-out', f'{key}.open')}"
            f" && chmod 600 {word(f'{key}.open')}",
        )
    try:
        subject.verified()
    except CertificateFileError as error:
        return fail("certificates.key.mismatch", error.fact, _SILENT, *error.hints)
    own = next(iter(_readable(content)), None)
    if own is not None and own.not_after < now():
        return fail(
            "certificates.key.expired",
            f"the client certificate in {subject.certificate} expired on {own.not_after:%Y-%m-%d}",
            "no server takes it any more",
            "ask the operator for a new one",
        )
    return _taken(subject, key, form)


def _taken(subject: CertificateSubject, key: Path, form: KeyForm) -> Finding:
    if form is not KeyForm.PKCS8 and subject.for_bazel:
        return warn(
            "certificates.key.form",
            f"the key in {key} is in {form.value} form and not in PKCS#8",
            "Bazel takes no other form: it ends with 37 and says nothing",
            "convert it: "
            f"{command('openssl', 'pkcs8', '-topk8', '-nocrypt', '-in', key, '-out', f'{key}.pk8')}"
            f" && chmod 600 {word(f'{key}.pk8')}",
        )
    status = key.stat()
    if status.st_uid == os.getuid() and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warn(
            "certificates.key.open",
            f"others on this machine can read the key in {key}",
            "whoever reads it is taken for its owner",
            f"chmod 600 {word(key)}",
        )
    return ok("certificates.key.ok", f"the key in {key} belongs to {subject.certificate}")


FILES = Probe(
    "certificates.files",
    "can the authority's file be read, by all who need it",
    _ask_files,
    {
        "certificates.files.ok": "the authority's file, or this machine's trust store, can be read",
        "certificates.files.no-platform": "no file was named, and this machine has no trust store",
        "certificates.files.missing": "the authority's file is not there",
        "certificates.files.unreadable": "this user cannot read the authority's file",
        "certificates.files.empty": "the authority's file holds no certificate",
        "certificates.files.expired": "every authority in the file has expired",
    },
)

KEY = Probe(
    "certificates.key",
    "can the client's key be used, by all who need it",
    _ask_key,
    {
        "certificates.key.ok": "the client's key can be used, or none was named",
        "certificates.key.unreadable": "the client's certificate or key cannot be read, or is none",
        "certificates.key.encrypted": "the client's key is encrypted",
        "certificates.key.mismatch": "the client's key does not belong to the certificate",
        "certificates.key.expired": "the client's certificate has expired",
        "certificates.key.form": "the client's key is not in PKCS#8 form, the only one that Bazel takes",
        "certificates.key.open": "others can read the client's key",
    },
)
