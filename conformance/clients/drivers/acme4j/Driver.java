import java.io.FileReader;
import java.io.FileWriter;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.shredzone.acme4j.AccountBuilder;
import org.shredzone.acme4j.Authorization;
import org.shredzone.acme4j.Certificate;
import org.shredzone.acme4j.Login;
import org.shredzone.acme4j.RevocationReason;
import org.shredzone.acme4j.Session;
import org.shredzone.acme4j.Status;
import org.shredzone.acme4j.challenge.Challenge;
import org.shredzone.acme4j.challenge.Dns01Challenge;
import org.shredzone.acme4j.challenge.Http01Challenge;
import org.shredzone.acme4j.challenge.TlsAlpn01Challenge;
import org.shredzone.acme4j.util.KeyPairUtils;

/**
 * The commands of harness/library.py with the Java library acme4j, used as X-Road's security servers use it: each order
 * carries notAfter in a year, and newAccount is called again with the same key before every order, with external account
 * binding but without agreeing to the terms.
 */
public class Driver {
    private static final Path ACCOUNT = Path.of("account");
    private static final Path ACCOUNT_KEY = Path.of("account.key");
    private static final Duration PATIENCE = Duration.ofSeconds(40);

    private interface Undo {
        void run() throws Exception;
    }

    public static void main(String[] words) {
        Security.addProvider(new BouncyCastleProvider());
        try {
            command(words[0], List.of(words).subList(1, words.length));
        } catch (Exception refused) {
            refused.printStackTrace();
            System.exit(1);
        }
    }

    private static void command(String name, List<String> words) throws Exception {
        switch (name) {
            case "register" -> register(words.get(0));
            case "order" -> order(words.get(0), words.get(1), words.subList(2, words.size()));
            case "renewal-info" -> renewalInfo(words.get(0));
            case "revoke" -> Certificate.revoke(login(), certificate(words.get(0)), RevocationReason.SUPERSEDED);
            case "update" -> update(words.get(0));
            case "key-change" -> keyChange();
            case "deactivate" -> login().getAccount().deactivate();
            default -> throw new IllegalArgumentException(name);
        }
    }

    private static String given(String name) {
        return System.getenv("DRIVER_" + name);
    }

    private static Session session() {
        return new Session(URI.create(given("DIRECTORY")));
    }

    private static KeyPair key() throws IOException {
        return KeyPairUtils.readKeyPair(new FileReader(ACCOUNT_KEY.toFile()));
    }

    private static Login login() throws Exception {
        return new Login(URI.create(Files.readString(ACCOUNT).lines().findFirst().orElseThrow()).toURL(), key(), session());
    }

    private static void keep(KeyPair key, String url) throws IOException {
        try (FileWriter file = new FileWriter(ACCOUNT_KEY.toFile())) {
            KeyPairUtils.writeKeyPair(key, file);
        }
        // The runner sees by a changed file that the key is another one.
        Files.writeString(ACCOUNT, url + "\n" + key.getPublic().hashCode() + "\n");
    }

    private static AccountBuilder bound(KeyPair key) {
        return new AccountBuilder().withKeyIdentifier(given("EAB_KID"), given("EAB_HMAC_KEY")).useKeyPair(key);
    }

    private static void register(String email) throws Exception {
        KeyPair key = KeyPairUtils.createKeyPair(2048);
        Login made = bound(key).addEmail(email).agreeToTermsOfService().createLogin(session());
        keep(key, made.getAccountLocation().toString());
        again(made);
    }

    /** RFC 8555 §7.3.1: the same account, whatever else the request says. */
    private static void again(Login known) throws Exception {
        Login found = bound(known.getKeyPair()).createLogin(session());
        if (!found.getAccountLocation().equals(known.getAccountLocation())) {
            throw new IllegalStateException("newAccount gave another account: " + found.getAccountLocation());
        }
    }

    private static void order(String kind, String files, List<String> words) throws Exception {
        int option = words.indexOf("--replaces");
        List<String> names = option < 0 ? words : words.subList(0, option);
        Login login = login();
        again(login);
        Instant notAfter = Instant.now().plus(365, ChronoUnit.DAYS).truncatedTo(ChronoUnit.SECONDS);
        var wanted = login.newOrder().domains(names).notAfter(notAfter);
        if (option >= 0) {
            wanted.replaces(certificate(words.get(option + 1)));
        }
        var order = wanted.create();
        List<Undo> answers = new ArrayList<>();
        for (Authorization authorization : order.getAuthorizations()) {
            answers.add(proved(kind, authorization, login));
        }
        require(order.waitUntilReady(PATIENCE) == Status.READY, "the order is " + order.getStatus());
        for (Undo answer : answers) {
            answer.run();
        }
        KeyPair key = KeyPairUtils.createECKeyPair("secp256r1");
        order.execute(key);
        require(order.waitForCompletion(PATIENCE) == Status.VALID, "the order is " + order.getStatus());
        try (FileWriter file = new FileWriter(files + ".key")) {
            KeyPairUtils.writeKeyPair(key, file);
        }
        try (FileWriter file = new FileWriter(files + ".pem")) {
            order.getCertificate().writeCertificate(file);
        }
        Instant end = order.getCertificate().getCertificate().getNotAfter().toInstant();
        require(end.equals(notAfter), "the certificate ends " + end + " instead of " + notAfter);
    }

    private static Undo proved(String kind, Authorization authorization, Login login) throws Exception {
        String name = authorization.getIdentifier().getDomain();
        Challenge challenge = authorization.<Challenge>findChallenge(kind).orElseThrow();
        Undo undo = switch (kind) {
            case Http01Challenge.TYPE -> {
                Http01Challenge http = (Http01Challenge) challenge;
                Path file = Path.of(given("WEBROOT"), http.getToken());
                Files.writeString(file, http.getAuthorization());
                yield () -> Files.delete(file);
            }
            case Dns01Challenge.TYPE -> {
                String value = ((Dns01Challenge) challenge).getDigest();
                record("add", name, value);
                yield () -> record("remove", name, value);
            }
            default -> {
                KeyPair key = KeyPairUtils.createKeyPair(2048);
                X509Certificate answer = ((TlsAlpn01Challenge) challenge).createCertificate(key, authorization.getIdentifier());
                Path file = Path.of(given("ALPN"), name + ".crt.pem");
                try (FileWriter writer = new FileWriter(given("ALPN") + "/" + name + ".key.pem")) {
                    KeyPairUtils.writeKeyPair(key, writer);
                }
                String body = java.util.Base64.getMimeEncoder().encodeToString(answer.getEncoded());
                Files.writeString(file, "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----\n");
                yield () -> Files.delete(file);
            }
        };
        challenge.trigger();
        return undo;
    }

    private static void record(String action, String name, String value) throws IOException, InterruptedException {
        int status = new ProcessBuilder(given("DNS"), action, "_acme-challenge." + name, value).inheritIO().start().waitFor();
        require(status == 0, "the hook failed: " + status);
    }

    private static void renewalInfo(String file) throws Exception {
        var info = login().bindRenewalInfo(certificate(file));
        info.fetch();
        System.out.println("window " + info.getSuggestedWindowStart() + " to " + info.getSuggestedWindowEnd());
    }

    private static void update(String email) throws Exception {
        var account = login().getAccount();
        var editing = account.modify();
        editing.getContacts().clear();
        editing.addEmail(email).commit();
        require(account.getContacts().equals(List.of(URI.create("mailto:" + email))), "the contacts are " + account.getContacts());
    }

    private static void keyChange() throws Exception {
        KeyPair key = KeyPairUtils.createECKeyPair("secp384r1");
        Login login = login();
        login.getAccount().changeKey(key);
        keep(key, login.getAccountLocation().toString());
    }

    private static X509Certificate certificate(String file) throws Exception {
        try (var stream = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificates(stream).iterator().next();
        }
    }

    private static void require(boolean holds, String complaint) {
        if (!holds) {
            throw new IllegalStateException(complaint);
        }
    }
}
