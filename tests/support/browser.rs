//! A browser that people use: Chromium, without a window, driven by WebDriver through Debian's chromedriver.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::eventually;
use super::process::{Folder, Process};

/// A browser with one window. It ends when dropped, with all the processes that it is made of.
pub(crate) struct Browser {
    driver: SocketAddr,
    session: String,
    _process: Process,
    _folder: Folder,
}

impl Browser {
    /// Why there can be none, if so.
    pub(crate) fn missing() -> Option<String> {
        let is_there = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        };
        let missing = ["chromium", "chromedriver"].into_iter().find(|program| !is_there(program))?;
        Some(format!("no {missing}"))
    }

    /// A new one, as wide as a laptop's screen.
    pub(crate) async fn open() -> Self {
        let folder = Folder::new().expect("a temporary folder");
        // The driver's children have their own process IDs, which end with the first of them.
        let mut command = vec!["--pid", "--fork", "--kill-child", "--mount-proc"];
        if !rustix::process::getuid().is_root() {
            command.push("--map-root-user");
        }
        command.extend(["chromedriver", "--port=0"]);
        let command: Vec<_> = command.into_iter().map(str::to_owned).collect();
        let process = Process::start(Path::new("unshare"), &command, folder.join("driver.log")).expect("unshare");
        let port = eventually("chromedriver says where it listens", async || {
            let said = process.said();
            let port = said.split_once("successfully on port ").and_then(|(_, rest)| rest.split_once('.'));
            port.and_then(|(port, _)| port.parse().ok()).ok_or(said)
        })
        .await;
        let profile = folder.join("profile").display().to_string();
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,1000",
            &format!("--user-data-dir={profile}"),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let driver = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut browser = Self { driver, session: String::new(), _process: process, _folder: folder };
        let opened = browser.ask("POST", "", &capabilities).await;
        browser.session = format!("/{}", opened["sessionId"].as_str().expect("a session"));
        browser
    }

    /// Shows a page, as soon as it is loaded.
    pub(crate) async fn show(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url })).await;
    }

    /// What the body of a function gives that is run in the page; a promise, once it is kept.
    pub(crate) async fn run(&self, body: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": body, "args": [] })).await
    }

    /// Waits until that is true.
    pub(crate) async fn waits_for(&self, what: &str, body: &str) {
        eventually(what, async || match self.run(body).await {
            Value::Bool(true) => Ok(()),
            other => Err(format!("{other}; {}", self.run("return document.body.innerText").await)),
        })
        .await;
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn tell(&self, command: &str, parameters: Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// What it has complained of since it was asked last: errors, warnings, what a policy forbids.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" })).await;
        log.as_array().expect("a list").iter().map(ToString::to_string).collect()
    }

    /// Keeps a picture of the window.
    pub(crate) async fn keep_picture(&self, path: &Path) {
        let picture = self.ask("GET", "/screenshot", &Value::Null).await;
        let picture = data_encoding::BASE64.decode(picture.as_str().expect("a picture").as_bytes()).expect("base 64");
        std::fs::write(path, picture).expect("written");
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/session{}{path}", self.session);
        let (status, body) = exchange(self.driver, method, &path, &body).await.expect("an answer");
        assert!(status.starts_with("HTTP/1.1 200"), "{method} {path}: {body}");
        serde_json::from_str::<Value>(&body).expect("JSON")["value"].take()
    }
}

/// Asks the driver, which leaves a connection open whatever it is told; the status line and the body of the answer.
async fn exchange(driver: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<(String, String)> {
    let mut connection = BufReader::new(TcpStream::connect(driver).await?);
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {driver}\r\nContent-Length: {}\r\n", body.len());
    connection.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    let (mut status, mut length) = (String::new(), 0);
    connection.read_line(&mut status).await?;
    loop {
        let mut field = String::new();
        connection.read_line(&mut field).await?;
        match field.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut answer = vec![0; length];
    connection.read_exact(&mut answer).await?;
    Ok((status, String::from_utf8(answer).map_err(io::Error::other)?))
}
