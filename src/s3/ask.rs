//! Signs, sends, and asks again until there is an answer that another try would not change.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusty_s3::S3Action;
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

use super::error::{Fault, code_of};
use super::{Bucket, Content, FIRST_CONTACT, PAUSES, RETRY_AFTER_CAP, Result, S3Error, SIGNED_FOR, SKEW};

impl Bucket {
    /// Signs and sends until there is an answer that another try would not change; `None` for what does not exist.
    pub(super) fn ask<'a>(
        &'a self,
        method: Method,
        mut action: impl S3Action<'a>,
        headers: &[(&str, &str)],
        content: Option<Content<'_>>,
        key: &str,
    ) -> Result<Option<Response<ureq::Body>>> {
        for (name, value) in headers {
            action.headers_mut().insert((*name).to_owned(), (*value).to_owned());
        }
        let started = Instant::now();
        let mut pause = PAUSES.0;
        let mut tries = 0;
        loop {
            tries += 1;
            let url = action.sign(SIGNED_FOR);
            let fault = match self.send(&method, url.as_str(), headers, content) {
                Ok(response) => match self.judge(response, key, tries)? {
                    Judged::Done(response) => return Ok(response),
                    Judged::Again(fault) => fault,
                },
                Err(Fault::Local(error)) => return Err(S3Error::Local(error)),
                Err(fault) => fault,
            };
            let patience =
                if self.met.load(Ordering::Relaxed) { self.patience } else { self.patience.min(FIRST_CONTACT) };
            if started.elapsed() >= patience || fault.is_final() {
                return Err(fault.told(&self.host, tries));
            }
            let most = RETRY_AFTER_CAP.min(patience.max(pause));
            std::thread::sleep(fault.retry_after().map_or(pause, |asked| asked.clamp(pause, most)));
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        content: Option<Content<'_>>,
    ) -> std::result::Result<Response<ureq::Body>, Fault> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let failed = |error: ureq::http::Error| Fault::Line { why: error.to_string(), lost: true };
        match content {
            None => self.agent.run(request.body(()).map_err(failed)?).map_err(Fault::of),
            Some(Content::Bytes(bytes)) => self.agent.run(request.body(bytes).map_err(failed)?).map_err(Fault::of),
            Some(Content::File(path)) => {
                let local = |source| Fault::local(path, source);
                let file = std::fs::File::open(path).map_err(local)?;
                let length = file.metadata().map_err(local)?.len();
                let request = request.header("content-length", length);
                let mut reader = Watched { file: file.take(length), failed: None };
                let request = request.body(SendBody::from_reader(&mut reader)).map_err(failed)?;
                let sent = self.agent.run(request);
                match (sent, reader.failed) {
                    (_, Some(source)) => Err(Fault::local(path, source)),
                    (sent, None) => sent.map_err(Fault::of),
                }
            }
        }
    }

    /// What an answer means: done, absent, to be asked again, or refused for good.
    fn judge(&self, mut response: Response<ureq::Body>, key: &str, tries: u32) -> Result<Judged> {
        self.met.store(true, Ordering::Relaxed);
        self.compare_clocks(&response)?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(Judged::Done(Some(response)));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok().map(str::to_owned));
        let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let told = response.body_mut().with_config().limit(64 << 10).read_to_string().unwrap_or_default();
        let code = code_of(&told).unwrap_or_default();
        let host = self.host.clone();
        match (status, code.as_str()) {
            (404, "NoSuchBucket") => Err(self.no_bucket()),
            (404, _) => Ok(Judged::Done(None)),
            (408 | 409 | 429 | 500 | 502 | 503 | 504, _) | (400, "RequestTimeout") => {
                Ok(Judged::Again(Fault::Busy { status, retry_after }))
            }
            (_, "RequestTimeTooSkewed") => Err(S3Error::Skewed { host }),
            (401 | 403, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "NotSignedUp" | "InvalidSecurity") => {
                Err(S3Error::BadKey { host, code })
            }
            (301 | 302 | 307 | 308, _)
            | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                Err(S3Error::Elsewhere { host, bucket: self.name().to_owned() })
            }
            (401 | 403, _) => Err(S3Error::Denied { host, bucket: self.name().to_owned(), key: key.to_owned() }),
            (507, _) => Err(S3Error::Full { host, bucket: self.name().to_owned() }),
            _ if code == "QuotaExceeded" || code == "XMinioStorageFull" => {
                Err(S3Error::Full { host, bucket: self.name().to_owned() })
            }
            _ => {
                let code = if code.is_empty() { format!("essai {tries}") } else { code };
                Err(S3Error::Answer { host, key: key.to_owned(), status, code })
            }
        }
    }

    /// A clock that is wrong is told as what it is: the server only says that it refuses.
    fn compare_clocks(&self, response: &Response<ureq::Body>) -> Result<()> {
        let date = response.headers().get("date").and_then(|value| value.to_str().ok());
        let Some(there) = date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()) else { return Ok(()) };
        let ahead = Timestamp::now().duration_since(there.timestamp());
        if ahead.unsigned_abs() <= SKEW {
            return Ok(());
        }
        Err(S3Error::Clock { host: self.host.clone(), seconds: ahead.as_secs() })
    }
}

enum Judged {
    Done(Option<Response<ureq::Body>>),
    Again(Fault),
}

/// A file that remembers why it could not be read: the HTTP client would call it a fault of the line.
struct Watched {
    file: std::io::Take<std::fs::File>,
    failed: Option<std::io::Error>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer);
        let shorter = matches!(read, Ok(0)) && !buffer.is_empty() && self.file.limit() > 0;
        match read {
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
            Ok(_) if shorter => {
                self.failed = Some(std::io::ErrorKind::UnexpectedEof.into());
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
            read => read,
        }
    }
}

/// The HTTP client: certificates of the system, one provider of cryptography, no redirection, no silence longer than that.
pub(super) fn agent(encrypted: bool, silence: Duration) -> Agent {
    let first = silence.min(Duration::from_secs(15));
    let mut tls =
        TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if encrypted {
        let found = rustls_native_certs::load_native_certs().certs;
        let certificates: Vec<_> = found.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("Mulot/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(first))
        .timeout_connect(Some(first))
        .timeout_per_read(Some(silence))
        .timeout_per_write(Some(silence))
        .build()
        .new_agent()
}
