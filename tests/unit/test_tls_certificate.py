"""Certificates that are odd, and that stores and servers have all the same: none ends a program."""

import base64
import subprocess
import sys

import pytest

from gfattach.tls.certificate import read_der

#: Made with `openssl req -x509`: a serial number of zero; a curve that few know; an X.400 address for a name.
ZERO = (
    "MIIBYzCCAQigAwIBAgIBADAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDAR6ZXJvMCAXDTI2MTEyNDEyMzUzOVoYDzIxMjYxMDMx"
    "MTIzNTM5WjAPMQ0wCwYDVQQDDAR6ZXJvMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiDyKn8s/hYiIyr08hKtM6+sMZsXZ"
    "oxQcboerD0EsFlwlSsCxr9rHmGvzWmybGL4aw9CxREq1bjzaoRKvSZowyaNTMFEwHQYDVR0OBBYEFDIZi0nW2otIE2pFhrKb"
    "NNZEZ6IYMB8GA1UdIwQYMBaAFDIZi0nW2otIE2pFhrKbNNZEZ6IYMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAw"
    "RgIhAKHJvu1PCWbikYgOdp7L+qLhxg/yl2VRNIdiADj61rk0AiEAjDA9tw9D1gCZjTWuInPtYMN57p9ySL77XD/xpMEIz3Y="
)
CURVE = (
    "MIIBeDCCAR2gAwIBAgIUcyqGpUAHPv9h7x9xYz2TMiGvIGUwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFY3VydmUwIBcNMjYx"
    "MTI0MTIzNTM5WhgPMjEyNjEwMzExMjM1MzlaMBAxDjAMBgNVBAMMBWN1cnZlMFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAE"
    "NPYTSzCV0chwRUnLHcpO9CbjYRoUkre63AhK1dZiYRE5v5n2fkTbnCSIdy1OVJEO6rSTcyYQ6xTA/4QSiLEFlKNTMFEwHQYD"
    "VR0OBBYEFH/YYa59stnM44tSQrQT3F5t7133MB8GA1UdIwQYMBaAFH/YYa59stnM44tSQrQT3F5t7133MA8GA1UdEwEB/wQF"
    "MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAI/072HHXIlgI4YfVbdUCWUG44TgKElirtfhdagWSsJnAiEA1OwEZGFCpsiNBGtj"
    "of4V8tmA5Zj4IyxlxSx7lcHA4Bo="
)
NAME = (
    "MIIBgzCCASmgAwIBAgIUS6KYnbv/4VEZrTANM8PndRUjGi4wCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEbmFtZTAgFw0yNjEx"
    "MjQxMjM1MzlaGA8yMTI2MTAzMTEyMzUzOVowDzENMAsGA1UEAwwEbmFtZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABD+I"
    "tlRvxn8bFcgg6EDc/6fw5OCFrRtNgFXuiMxOR4vgymJOUP32ke1Mwey1zPwgEvN5wMKIZWs6S916Ybt/CiOjYTBfMB0GA1Ud"
    "DgQWBBQkDXURkwhZBT6prehdpbo8fzLJvTAfBgNVHSMEGDAWgBQkDXURkwhZBT6prehdpbo8fzLJvTAPBgNVHRMBAf8EBTAD"
    "AQH/MAwGA1UdEQQFMAOjAQAwCgYIKoZIzj0EAwIDSAAwRQIhAPm4sp4C/EcIQYwt9U1jUXErZSM07BtTSPwo4WkbL1peAiAF"
    "s2LbcWaNqbjFOyF8U39UHN88dz4Wf/4Igt5M0Yj2wQ=="
)


def test_a_serial_number_of_zero_is_read_without_a_word_on_stderr():
    """Trust stores of Linux have such an authority."""
    code = "import base64, sys; from gfattach.tls.certificate import read_der as read\n"
    code += "print(read(base64.b64decode(sys.argv[1])).subject)"
    done = subprocess.run([sys.executable, "-c", code, ZERO], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("CN=zero\n", "")


@pytest.mark.parametrize("text", [CURVE, NAME], ids=["a curve", "a name"])
def test_what_the_library_does_not_know_is_no_certificate_that_can_be_read(text):
    with pytest.raises(ValueError, match="supported"):
        read_der(base64.b64decode(text))
