//! The status page of the binary, in a browser that people use, and in one without scripts, styles and pictures.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval};

use support::browser::Browser;
use support::http::http;
use support::kubezone::Kubezone;
use support::process::Folder;
use support::{eventually, skip};

const CONFIGURATION: &str = "\
listen: { dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }
readyTimeout: 0s
clusters: [{ name: c2, manifests: c2 }, { name: c3, kubeconfig: absent }]
zones:
- { name: k8s.ooo, file: k8s.ooo.zone }
- { name: c2.k8s.ooo, cluster: c2, nameservers: [{ name: ns, addresses: [\"2001:db8::53\"] }] }
- { name: c3.k8s.ooo, cluster: c3, nameservers: [{ name: ns.example. }] }
";

/// A master file with words that would be markup, or hide.
const PARENT: &str = "@ 60 IN SOA ns hostmaster 1 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n\
                      evil TXT \"<script>alert(1)</script>\" \"\\\" onload='alert(2)'\"\n";

/// Something that runs if it becomes markup.
const EVIL: &str = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>\u{202e}";

fn service(namespace: &str, name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec: {{ type: ClusterIP, clusterIP: \"{address}\", clusterIPs: [\"{address}\"], ipFamilies: [IPv6], ports: [{{ port: 443 }}] }}\n"
    )
}

/// 120 Services in two namespaces, one in three of them with an address that nobody reaches.
fn many() -> String {
    let one = |number: usize| {
        let address =
            if number.is_multiple_of(3) { format!("fd00::{number:x}") } else { format!("2a0a:e5c0::{number:x}") };
        service(if number.is_multiple_of(2) { "shop" } else { "lab" }, &format!("web-{number:03}"), &address)
    };
    (0..120).map(one).collect()
}

/// A server that has read `manifests`, its folder, and where its pages are.
async fn serving(manifests: &str) -> (Kubezone, PathBuf, String) {
    let folder = Folder::new().expect("a temporary folder");
    fs::create_dir(folder.join("c2")).expect("a folder");
    folder.write("c2/all.yaml", manifests).expect("manifests");
    folder.write("k8s.ooo.zone", PARENT).expect("a zone");
    let root = folder.join("");
    let kubezone = Kubezone::configured("k8s.ooo", folder, CONFIGURATION).await.ready().await;
    kubezone.answers("ns.c2 AAAA", "2001:db8::53").await;
    let base = format!("http://{}", kubezone.admin());
    (kubezone, root, base)
}

/// What there is to complain of in a page, for those who do not see it, or go by the keyboard.
const COMPLAINTS: &str = r#"
    const all = (selector) => [...document.querySelectorAll(selector)];
    const complaints = [];
    const must = (is, what) => { if (!is) complaints.push(what); };
    must(document.documentElement.lang === "en", "no language");
    for (const one of ["header", "main", "footer", "h1", "a.skip"]) must(all(`body ${one}`).length === 1, `not one ${one}`);
    must(document.title.length > 10, "no title");
    let level = 0;
    for (const heading of all("h1,h2,h3,h4")) {
        const now = Number(heading.tagName[1]);
        must(now <= level + 1, `${heading.textContent}: a level is left out`);
        level = now;
    }
    for (const table of all("table")) must(table.caption?.textContent.trim(), "a table without a caption");
    for (const cell of all("th")) must(["col", "row"].includes(cell.scope), `${cell.textContent}: no scope`);
    for (const field of all("input,select")) must(field.labels.length === 1, `${field.name}: no label`);
    for (const one of all("button,a")) must((one.getAttribute("aria-label") ?? one.textContent).trim(), "a link without a name");
    for (const nav of all("nav,[role=search],[role=region]")) must(nav.ariaLabel || nav.getAttribute("aria-label") || nav.tagName === "FORM", "a landmark without a name");
    const ids = all("[id]").map((one) => one.id);
    must(new Set(ids).size === ids.length, "an id twice");
    for (const one of all("[aria-labelledby]")) must(document.getElementById(one.getAttribute("aria-labelledby")), "no label");
    for (const mark of all(".state")) must(mark.textContent.replace(/\W/g, ""), "a state without a word");
    must(all("form").every((form) => form.method === "get"), "a form that changes something");
    must(all("[style],[onclick],script:not([src])").length === 0, "styles or scripts in the page");
    must(document.documentElement.scrollWidth <= innerWidth, `it is ${document.documentElement.scrollWidth} wide`);
    return complaints;
"#;

#[tokio::test]
async fn pages_are_whole_in_light_and_dark_wide_and_narrow() {
    if let Some(reason) = Browser::missing() {
        return skip("pages_are_whole_in_light_and_dark_wide_and_narrow", &reason);
    }
    let (kubezone, _, base) = serving(&many()).await;
    for _ in 0..20 {
        kubezone.ask("ns A").await;
    }
    let browser = Browser::open().await;
    let pages = [
        ("/", "Overview"),
        ("/services", "Services"),
        ("/services/c2/lab/web-001", "lab/web-001"),
        ("/services/c2/lab/web-003", "lab/web-003"),
        ("/names/web-001.lab.svc.c2.k8s.ooo.", "web-001.lab.svc.c2.k8s.ooo."),
        ("/names/evil.k8s.ooo", "evil.k8s.ooo."),
        ("/zones", "Zones"),
        ("/zones/c2.k8s.ooo", "c2.k8s.ooo."),
        ("/zones/c3.k8s.ooo", "c3.k8s.ooo."),
    ];
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("status-page");
    fs::create_dir_all(&pictures).expect("a folder");
    for (look, scheme, width) in [("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 390)] {
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.tell("Emulation.setEmulatedMedia", scheme).await;
        let metrics = json!({ "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.tell("Emulation.setDeviceMetricsOverride", metrics).await;
        for (path, title) in pages {
            browser.show(&format!("{base}{path}")).await;
            assert_eq!(browser.run("return document.querySelector('h1').textContent").await, title, "{path}");
            assert_eq!(browser.run(COMPLAINTS).await, json!([]), "{path} {look}");
            if path == "/" {
                browser.waits_for("rates", "return document.querySelector('#rates svg') !== null").await;
            }
            let name = path.trim_matches('/').replace('/', "-");
            browser
                .keep_picture(
                    &pictures.join(format!("{look}-{}.png", if name.is_empty() { "overview" } else { &name })),
                )
                .await;
        }
    }
    browser.show(&format!("{base}/zones/c2.k8s.ooo")).await;
    let parent = "c2.k8s.ooo. 3600 IN NS ns.c2.k8s.ooo.\nns.c2.k8s.ooo. 3600 IN AAAA 2001:db8::53";
    assert_eq!(browser.run("return document.querySelector('pre').innerText.trim()").await, parent);
    assert_eq!(browser.run("return document.querySelector('#delegation .copy').dataset.copy").await, parent);
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn what_changes_arrives_by_itself() {
    if let Some(reason) = Browser::missing() {
        return skip("what_changes_arrives_by_itself", &reason);
    }
    let (_kubezone, folder, base) = serving(&service("shop", "web", "2a0a:e5c0::17")).await;
    let browser = Browser::open().await;
    browser.show(&format!("{base}/services?search=shop")).await;
    browser.waits_for("it is live", "return document.getElementById('live').textContent === 'Live'").await;
    // A page that is loaded again forgets this.
    browser.run("window.same = true; document.querySelector('#services th a').focus()").await;
    fs::write(folder.join("c2/more.yaml"), service("shop", "api", "2a0a:e5c0::18")).expect("manifests");
    browser
        .waits_for("the Service is there", "return document.body.innerText.includes('api.shop.svc.c2.k8s.ooo.')")
        .await;
    assert_eq!(browser.run("return window.same").await, true);
    assert_eq!(browser.run("return document.activeElement.textContent").await, "shop/web", "the focus stays");

    let allowed = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": base });
    browser.tell("Browser.grantPermissions", allowed).await;
    browser.run("document.querySelector('#services button.copy').click()").await;
    browser
        .waits_for("it is copied", "return document.querySelector('#services button.copy').textContent === 'copied'")
        .await;
    assert_eq!(browser.run("return navigator.clipboard.readText()").await, "api.shop.svc.c2.k8s.ooo");

    browser.show(&base).await;
    browser.waits_for("rates", "return document.querySelector('#rates svg') !== null").await;
    fs::write(folder.join("c2/more.yaml"), "kind: [").expect("no manifests");
    browser
        .waits_for(
            "what is wrong is told",
            "return document.querySelector('#troubles').innerText.includes('more.yaml')",
        )
        .await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn a_hundred_changes_a_second_are_two_updates() {
    if let Some(reason) = Browser::missing() {
        return skip("a_hundred_changes_a_second_are_two_updates", &reason);
    }
    const CHANGES: usize = 400;
    let (kubezone, folder, base) = serving(&service("shop", "web", "2a0a:e5c0::17")).await;
    let browser = Browser::open().await;
    browser.show(&format!("{base}/zones/c2.k8s.ooo")).await;
    browser.waits_for("it is live", "return document.getElementById('live').textContent === 'Live'").await;
    let (started, mut ticks) = (Instant::now(), interval(Duration::from_millis(10)));
    for change in 1..=CHANGES {
        ticks.tick().await;
        fs::write(folder.join("c2/more.yaml"), service("shop", "api", &format!("2a0a:e5c0::{change:x}")))
            .expect("manifests");
        if change % 50 == 0 {
            // It does what it is told meanwhile.
            assert_eq!(browser.run("return document.querySelector('h1').textContent").await, "c2.k8s.ooo.");
        }
    }
    kubezone.answers("api.shop.svc.c2 AAAA", &format!("2a0a:e5c0::{CHANGES:x}")).await;
    let (_, body) = kubezone.api("/api/v1/zones/c2.k8s.ooo/changes").await;
    let newest = &serde_json::from_str::<Value>(&body).expect("JSON")["items"][0];
    let newest =
        format!("return document.querySelector('#changes tbody tr').innerText.includes('{}')", newest["serial"]);
    browser.waits_for("the last change is there", &newest).await;
    let updates =
        browser.run("return Number(document.documentElement.dataset.refreshed)").await.as_u64().expect("a number");
    let most = started.elapsed().as_secs() * 2 + 2;
    assert!((1..=most).contains(&updates), "{updates} updates, where {most} may be");
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn strangers_words_are_no_markup() {
    if let Some(reason) = Browser::missing() {
        return skip("strangers_words_are_no_markup", &reason);
    }
    // Kubernetes takes no such name; a manifest's author may try, and is quoted.
    let mut evil = service("shop", "web", "2a0a:e5c0::17");
    evil += &format!("---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {}, namespace: shop }}\n", json!(EVIL));
    let (_kubezone, _, base) = serving(&evil).await;
    let browser = Browser::open().await;
    let encoded: String = EVIL.bytes().map(|octet| format!("%{octet:02x}")).collect();
    let pages = [
        "/".to_owned(),
        "/names/evil.k8s.ooo".to_owned(),
        format!("/services?search={encoded}"),
        format!("/services?namespace={encoded}&reason={encoded}"),
        format!("/services?after={encoded}%2fx"),
        format!("/services?zone={encoded}"),
        format!("/services/c2/{encoded}/{encoded}"),
        format!("/services/{encoded}/a/b"),
        format!("/zones/{encoded}"),
        format!("/zones?from={encoded}"),
        format!("/search?q={encoded}"),
        format!("/search?q={encoded}.k8s.ooo"),
    ];
    for page in &pages {
        browser.show(&format!("{base}{page}")).await;
        // With a dialog open, this would fail.
        let foreign = browser
            .run("return document.querySelectorAll('script:not([src=\"/page.js\"]),img,[onerror],[onload]').length");
        assert_eq!(foreign.await, 0, "{page}");
        let hidden = browser.run("return document.documentElement.innerHTML.includes('\\u202e')").await;
        assert_eq!(hidden, false, "{page}");
    }
    browser.show(&format!("{base}{}", pages[0])).await;
    let text = browser.run("return document.querySelector('#troubles').innerText").await.to_string();
    assert!(text.contains("<script>alert(2)</script>") && text.contains("u{202e}"), "{text}");
    browser.show(&format!("{base}{}", pages[2])).await;
    assert_eq!(
        browser.run("return document.querySelector('[name=search]').value").await,
        EVIL.replace('\u{202e}', "\\u{202e}")
    );
    browser.show(&format!("{base}{}", pages[1])).await;
    let text = browser.run("return document.querySelector('.rdata').innerText").await;
    assert_eq!(text, "\"<script>alert(1)</script>\" \"\\\" onload='alert(2)'\"");
    let refused: Vec<_> = browser
        .complaints()
        .await
        .into_iter()
        .filter(|line| !line.contains("the server responded with a status of 4"))
        .collect();
    assert_eq!(refused, [""; 0]);
}

#[tokio::test]
async fn services_are_filtered_and_turned_over_page_by_page() {
    if let Some(reason) = Browser::missing() {
        return skip("services_are_filtered_and_turned_over_page_by_page", &reason);
    }
    let (_kubezone, _, base) = serving(&many()).await;
    let browser = Browser::open().await;
    let rows = "return document.querySelectorAll('.services tbody tr').length";
    browser.show(&format!("{base}/services")).await;
    assert_eq!(browser.run(rows).await, 100);
    browser.run("document.querySelector('[rel=next]').click()").await;
    browser.waits_for("the second page", "return document.querySelectorAll('.services tbody tr').length === 20").await;
    assert_eq!(browser.run("return document.querySelector('[rel=next]')").await, Value::Null);

    let choose = "const form = document.querySelector('.filter'); form.elements.namespace.value = 'lab';
        form.elements.published.value = 'false'; form.elements.reason.value = 'AddressNotPublic'; form.requestSubmit();";
    browser.run(choose).await;
    browser.waits_for("what was asked for", "return location.search.includes('reason=AddressNotPublic')").await;
    browser.waits_for("those", "return document.querySelectorAll('.services tbody tr').length === 20").await;
    assert_eq!(browser.run("return document.querySelector('.services tbody th').innerText").await, "lab/web-003");
    assert_eq!(browser.run("return document.querySelector('[name=published]').value").await, "false");

    for (typed, leads) in
        [("web-001", "/services?search=web-001"), ("web-001.lab.svc.c2.k8s.ooo", "/names/web-001.lab.svc.c2.k8s.ooo.")]
    {
        browser.show(&base).await;
        browser
            .run(&format!(
                "document.getElementById('q').value = '{typed}'; document.getElementById('q').form.requestSubmit()"
            ))
            .await;
        browser.waits_for("where it leads", &format!("return location.pathname + location.search === '{leads}'")).await;
    }
}

/// What a page says to those who do without scripts, styles and pictures; of one that is not found, lynx tells and fails.
fn lynx(url: &str) -> String {
    let shown = Command::new("lynx").args(["-dump", "-width=240", "-nolist", url]).output().expect("lynx");
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

#[tokio::test]
async fn everything_is_there_without_scripts() {
    if Command::new("lynx").arg("-version").output().is_err() {
        return skip("everything_is_there_without_scripts", &"no lynx");
    }
    let (_kubezone, _, base) = serving(&many()).await;
    let check = async |path: &str, facts: &[&str]| {
        let url = format!("{base}{path}");
        let text = tokio::task::spawn_blocking(move || lynx(&url)).await.expect("it ends");
        for fact in facts {
            assert!(text.contains(fact), "{path}: no {fact} in {text}");
        }
    };
    check(
        "/",
        &[
            "1 thing needs attention",
            "the kubeconfig cannot be used",
            "followed",
            "40 AddressNotPublic",
            "loaded",
            "c3.k8s.ooo.",
            "not loaded yet",
            "NOERROR",
        ],
    )
    .await;
    check(
        "/services?namespace=lab&search=00",
        &["lab/web-001", "web-001.lab.svc.c2.k8s.ooo.", "2a0a:e5c0::1", "not published", "KZ0110"],
    )
    .await;
    check("/services", &["Next page"]).await;
    check("/services/c2/lab/web-001", &["published", "ClusterIP", "AAAA", "web-001.lab.svc.c2.k8s.ooo."]).await;
    check("/services/c2/lab/web-0001", &["There is no such Service", "lab/web-001"]).await;
    check("/names/web-0001.lab.svc.c2.k8s.ooo", &["NXDOMAIN"]).await;
    check(
        "/zones/c2.k8s.ooo",
        &["Serial", "c2.k8s.ooo. 3600 IN NS ns.c2.k8s.ooo.", "ns.c2.k8s.ooo. ", "Recent changes", "AAAA"],
    )
    .await;
    check("/search?q=2a0a:e5c0::1", &["lab/web-001"]).await;
    check("/zones/absent.example", &["there is no zone absent.example."]).await;
}

#[tokio::test]
async fn those_who_listen_keep_nobody_out() {
    let (kubezone, _, _) = serving("").await;
    let listen = async || {
        let mut connection = BufReader::new(TcpStream::connect(kubezone.admin()).await.expect("a connection"));
        connection.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
        let mut status = String::new();
        connection.read_line(&mut status).await.expect("an answer");
        (status, connection)
    };
    let mut listening = Vec::new();
    for _ in 0..8 {
        let (status, connection) = listen().await;
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        listening.push(connection);
    }
    assert!(listen().await.0.starts_with("HTTP/1.1 503"));
    assert!(http(kubezone.admin(), "GET", "/", "").await.expect("a page").contains("<h1>Overview</h1>"));
    assert!(kubezone.http("/livez").await.starts_with("HTTP/1.1 200"));
    drop(listening.pop());
    eventually("there is a place again", async || match listen().await {
        (status, _) if status.starts_with("HTTP/1.1 200") => Ok(()),
        (status, _) => Err(status),
    })
    .await;
    let mut heard = listening.pop().expect("one that listens").lines();
    eventually("rates are told", async || match heard.next_line().await {
        Ok(Some(line)) if line == "event: rates" => Ok(()),
        line => Err(format!("{line:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_page_may_load_nothing_from_elsewhere_and_be_in_no_other() {
    let (kubezone, _, _) = serving("").await;
    for path in ["/", "/services", "/zones/absent", "/style.css", "/events-of-others"] {
        let (head, _) = kubezone.api(path).await;
        for field in [
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "frame-ancestors 'none'",
            "default-src 'none'",
        ] {
            assert!(head.contains(field), "{path}: no {field} in {head}");
        }
        assert!(!head.contains("access-control-") && !head.contains("unsafe-"), "{path}: {head}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let answer = http(kubezone.admin(), method, "/services", "").await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    }
}
