//! Tells an open page that what it shows has changed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::watch;

use crate::server::listen::Stop;

/// Server-sent events: the number of what is shown, at once and at each change, with how much there is to say.
pub(super) fn flow(
    mut versions: watch::Receiver<u64>,
    count: impl Fn() -> usize + Send + 'static,
    mut stop: Stop,
) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let version = *versions.borrow_and_update();
            let count = count();
            let event =
                format!("event: diagnostics\ndata: {count}\n\nevent: recharge\ndata: {version}\n\ndata: {version}\n\n");
            if sender.send(Bytes::from(event)).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    () = stop.asked() => return,
                    () = sender.closed() => return,
                    changed = versions.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(HEARTBEAT) => {
                        if sender.send(Bytes::from_static(b":\n\n")).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    });
    let stream = HeaderValue::from_static("text/event-stream; charset=utf-8");
    ([(header::CONTENT_TYPE, stream)], Body::new(Flow(receiver))).into_response()
}

/// A body made of what comes through a channel.
struct Flow(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Flow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A word now and then, so that a browser that left is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
