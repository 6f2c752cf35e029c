"""The commands of harness/library.py with the Python library acme."""

import datetime
import os
import subprocess
import sys
from pathlib import Path

import josepy
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ACCOUNT = Path("account")


def main(command: str, *words: str) -> None:
    {
        "register": register, "order": order, "renewal-info": renewal_info, "revoke": revoke, "update": update,
        "deactivate": deactivate,
    }[command](*words)


def connected(registration: messages.RegistrationResource | None = None) -> client.ClientV2:
    key = josepy.JWKRSA.load(Path("account.key").read_bytes())
    network = client.ClientNetwork(key, account=registration, user_agent="acme-python-driver", verify_ssl=os.environ["DRIVER_TLS_ROOT"])
    return client.ClientV2(client.ClientV2.get_directory(os.environ["DRIVER_DIRECTORY"], network), network)


def account() -> tuple[client.ClientV2, messages.RegistrationResource]:
    registration = messages.RegistrationResource(uri=ACCOUNT.read_text(), body=messages.Registration())
    return connected(registration), registration


def register(email: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    Path("account.key").write_bytes(private_pem(key))
    acme = connected()
    binding = messages.ExternalAccountBinding.from_data(
        account_public_key=acme.net.key.public_key(), kid=os.environ["DRIVER_EAB_KID"],
        hmac_key=os.environ["DRIVER_EAB_HMAC_KEY"], directory=acme.directory,
    )
    wanted = messages.NewRegistration.from_data(email=email, terms_of_service_agreed=True, external_account_binding=binding)
    ACCOUNT.write_text(acme.new_account(wanted).uri)


def order(kind: str, files: str, *names: str) -> None:
    acme, _ = account()
    key = ec.generate_private_key(ec.SECP256R1())
    Path(files + ".key").write_bytes(private_pem(key))
    made = acme.new_order(crypto_util.make_csr(private_pem(key), list(names)))
    prove = {"http-01": prove_by_http, "dns-01": prove_by_dns}[kind]
    done = [prove(acme, authorization) for authorization in made.authorizations]
    try:
        finished = acme.poll_and_finalize(made, datetime.datetime.now() + datetime.timedelta(seconds=45))
    finally:
        for undo in done:
            undo()
    Path(files + ".pem").write_text(finished.fullchain_pem)


def prove_by_http(acme: client.ClientV2, authorization: messages.AuthorizationResource):
    offered = challenge(authorization, challenges.HTTP01)
    response, validation = offered.response_and_validation(acme.net.key)
    file = Path(os.environ["DRIVER_WEBROOT"]) / offered.chall.encode("token")
    file.write_text(validation)
    acme.answer_challenge(offered, response)
    return file.unlink


def prove_by_dns(acme: client.ClientV2, authorization: messages.AuthorizationResource):
    offered = challenge(authorization, challenges.DNS01)
    response, validation = offered.response_and_validation(acme.net.key)
    name = offered.chall.validation_domain_name(authorization.body.identifier.value)
    subprocess.run([os.environ["DRIVER_DNS"], "add", name, validation], check=True)
    acme.answer_challenge(offered, response)
    return lambda: subprocess.run([os.environ["DRIVER_DNS"], "remove", name, validation], check=True)


def challenge(authorization: messages.AuthorizationResource, kind: type) -> messages.ChallengeBody:
    return next(offered for offered in authorization.body.challenges if isinstance(offered.chall, kind))


def renewal_info(certificate: str) -> None:
    acme, _ = account()
    wanted, again = acme.renewal_time(Path(certificate).read_bytes())
    if wanted is None:
        sys.exit("the server gave no window")
    print(f"window {wanted.isoformat()}, ask again {again.isoformat()}")


def revoke(certificate: str) -> None:
    account()[0].revoke(x509.load_pem_x509_certificate(Path(certificate).read_bytes()), 4)


def update(email: str) -> None:
    acme, registration = account()
    changed = acme.update_registration(
        registration, messages.Registration.from_data(email=email),
    )
    if email not in changed.body.emails:
        sys.exit(f"the account's contacts are {changed.body.emails}")


def deactivate() -> None:
    acme, registration = account()
    ended = acme.deactivate_registration(registration)
    if ended.body.status != "deactivated":
        sys.exit(f"the account is {ended.body.status}")


def private_pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    )


try:
    main(*sys.argv[1:])
except (errors.Error, messages.Error) as refused:
    sys.exit(f"{type(refused).__name__}: {refused}")
