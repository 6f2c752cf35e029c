'use strict';
// The commands of harness/library.py with the npm library acme-client.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const acme = require('acme-client');

const given = (name) => process.env[`DRIVER_${name}`];

function connected(account) {
    return new acme.Client({
        directoryUrl: given('DIRECTORY'),
        accountKey: account.key,
        accountUrl: account.url,
        externalAccountBinding: { kid: given('EAB_KID'), hmacKey: given('EAB_HMAC_KEY') },
        backoffMin: 500,
        backoffMax: 2000,
    });
}

function account() {
    return JSON.parse(fs.readFileSync('account', 'utf8'));
}

function keep(client, key) {
    fs.writeFileSync('account', JSON.stringify({ key: key.toString(), url: client.getAccountUrl() }));
}

async function register(email) {
    const key = await acme.crypto.createPrivateEcdsaKey('P-256');
    const client = connected({ key });
    await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] });
    keep(client, key);
}

async function order(kind, files, ...names) {
    const client = connected(account());
    const [key, csr] = await acme.crypto.createCsr(
        { commonName: names[0], altNames: names },
        await acme.crypto.createPrivateEcdsaKey('P-256'),
    );
    const [create, remove] = { 'http-01': byHttp, 'dns-01': byDns, 'tls-alpn-01': byAlpn }[kind];
    const chain = await client.auto({
        csr,
        termsOfServiceAgreed: true,
        // Its own look before the server's would go to port 80 and to the system's resolver.
        skipChallengeVerification: true,
        challengePriority: [kind],
        challengeCreateFn: create,
        challengeRemoveFn: remove,
    });
    fs.writeFileSync(`${files}.key`, key);
    fs.writeFileSync(`${files}.pem`, chain);
}

const answer = (challenge) => path.join(given('WEBROOT'), challenge.token);
const byHttp = [
    async (_, challenge, keyAuthorization) => fs.writeFileSync(answer(challenge), keyAuthorization),
    async (_, challenge) => fs.unlinkSync(answer(challenge)),
];

const record = (action, authorization, value) => execFileSync(
    given('DNS'), [action, `_acme-challenge.${authorization.identifier.value}`, value], { stdio: 'inherit' },
);
const byDns = [
    async (authorization, _, value) => record('add', authorization, value),
    async (authorization, _, value) => record('remove', authorization, value),
];

const responder = (authorization, kind) => path.join(given('ALPN'), `${authorization.identifier.value}.${kind}.pem`);
const byAlpn = [
    async (authorization, _, keyAuthorization) => {
        const [key, certificate] = await acme.crypto.createAlpnCertificate(authorization, keyAuthorization);
        fs.writeFileSync(responder(authorization, 'key'), key);
        fs.writeFileSync(responder(authorization, 'crt'), certificate);
    },
    async (authorization) => fs.unlinkSync(responder(authorization, 'crt')),
];

async function revoke(certificate) {
    await connected(account()).revokeCertificate(fs.readFileSync(certificate), { reason: 4 });
}

async function update(email) {
    const changed = await connected(account()).updateAccount({ contact: [`mailto:${email}`] });
    if (!changed.contact.includes(`mailto:${email}`)) {
        throw new Error(`the account's contacts are ${changed.contact}`);
    }
}

async function keyChange() {
    const client = connected(account());
    const key = await acme.crypto.createPrivateEcdsaKey('P-384');
    await client.updateAccountKey(key);
    keep(client, key);
}

async function deactivate() {
    const ended = await connected(account()).updateAccount({ status: 'deactivated' });
    if (ended.status !== 'deactivated') {
        throw new Error(`the account is ${ended.status}`);
    }
}

const commands = { register, order, revoke, update, 'key-change': keyChange, deactivate };
acme.setLogger((line) => console.log(line));
commands[process.argv[2]](...process.argv.slice(3)).catch((refused) => {
    console.error(`error: ${refused.message}`);
    process.exitCode = 1;
});
