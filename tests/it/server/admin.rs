//! The admin port.

use std::sync::Arc;

use poolguard::{
    server::{admin::Admin, readiness::Readiness},
    telemetry::metrics::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn request(admin: &std::net::SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let text = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn answers_probes_and_scrapes_and_nothing_else() {
    let readiness = Readiness::default();
    let snapshot = readiness.condition("snapshot", "not loaded yet");
    let certificate = readiness.condition("certificate", "not issued yet");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = Admin::new(listener, readiness, Arc::new(Metrics::new().unwrap()));
    let address = admin.local_addr().unwrap();
    let running = tokio::spawn(admin.run());

    let live = request(&address, "GET", "/livez").await;
    assert!(live.starts_with("HTTP/1.1 200") && live.ends_with("\r\n\r\nok\n"), "{live}");
    let unready = request(&address, "GET", "/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
    let lines = "\r\n\r\nsnapshot: not loaded yet\ncertificate: not issued yet\n";
    assert!(unready.ends_with(lines), "{unready}");
    snapshot.meet();
    certificate.meet();
    assert!(request(&address, "GET", "/readyz").await.starts_with("HTTP/1.1 200"));

    let metrics = request(&address, "GET", "/metrics").await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\npoolguard_build_info{revision="), "{metrics}");
    assert!(request(&address, "GET", "/mutate").await.starts_with("HTTP/1.1 404"));
    let posted = request(&address, "POST", "/livez").await;
    assert!(posted.starts_with("HTTP/1.1 405") && posted.contains("allow: GET, HEAD"), "{posted}");
    running.abort();
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_stop_the_probes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = Admin::new(listener, Readiness::default(), Arc::new(Metrics::new().unwrap()));
    let address = admin.local_addr().unwrap();
    let running = tokio::spawn(admin.run());
    let mut held = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        }
        held.push(stream);
    }
    for path in ["/livez", "/readyz"] {
        let reply = request(&address, "GET", path).await;
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    running.abort();
}
