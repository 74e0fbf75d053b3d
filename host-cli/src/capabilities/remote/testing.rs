//! Servers for the tests of this module, on loopback.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Receiver;

/// Answers each request by its path with a head, and tells what it was asked for. An empty answer is none at all.
pub(super) fn serve(answer: impl Fn(&str, u16) -> String + Send + 'static) -> (u16, Receiver<String>) {
    let mut stalled = Vec::new();
    serve_streams(move |request, port, mut stream| {
        match answer(request.split(' ').nth(1).unwrap_or_default(), port).as_str() {
            "" => stalled.push(stream),
            head => {
                let _ = write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
            }
        }
    })
}

/// Hands each request to `answer`, one after another, together with where its answer goes.
pub(super) fn serve_streams(mut answer: impl FnMut(&str, u16, TcpStream) + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            while reader.read_line(&mut request).unwrap_or(0) > 2 {}
            if sender.send(request.clone()).is_err() {
                return;
            }
            answer(&request, port, stream);
        }
    });
    (port, asked)
}
