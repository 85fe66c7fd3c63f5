//! A real S3-speaking server that judges signatures and clocks (`s3s`, objects as files), behind a front that can be busy half
//! of the time, cut connections, hold one for ever, and that remembers what was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::chance::Chance;

pub const KEY_ID: &str = "AKIDMULOT";
pub const SECRET: &str = "une-cle-tres-secrete";
pub const BUCKET: &str = "mon-seau";

/// The server; stopped with the value.
pub struct S3Server {
    root: tempfile::TempDir,
    pub address: SocketAddr,
    front: Arc<Front>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

#[derive(Default)]
struct Front {
    busy: AtomicBool,
    /// Every so many requests, the connection is cut in the middle of what is sent; 0: never.
    cut_every: AtomicUsize,
    /// The write of that number is held for ever; 0: none.
    hold_at: AtomicUsize,
    writes: AtomicUsize,
    requests: AtomicUsize,
    refused: AtomicUsize,
    held: (Mutex<bool>, Condvar),
    log: Mutex<Vec<String>>,
    chance: Mutex<Option<Chance>>,
    /// Held by who copies an object: `s3s-fs` writes over what stands there, where a real bucket puts the copy whole.
    copying: tokio::sync::RwLock<()>,
}

impl S3Server {
    /// Starts one with an empty bucket.
    pub fn start() -> S3Server {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        let front = Arc::new(Front::default());
        *lock(&front.chance) = Some(Chance::of(7));
        let (told, address) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (store, in_front) = (root.path().to_owned(), front.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(serve(store, in_front, told, stopped));
        });
        let address = address.recv().expect("it listens");
        S3Server { root, address, front, stop: Some(stop) }
    }

    /// `http://127.0.0.1:…/mon-seau`.
    pub fn url(&self) -> String {
        format!("http://{}/{BUCKET}", self.address)
    }

    /// The folder that holds the bucket's objects.
    pub fn objects(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// Half of the answers become 503, by a chance that is always the same.
    pub fn be_busy(&self, busy: bool) {
        self.front.busy.store(busy, Ordering::SeqCst);
    }

    /// Every so many requests, the connection is cut; 0: never.
    pub fn cut_every(&self, count: usize) {
        self.front.cut_every.store(count, Ordering::SeqCst);
    }

    /// The write after `count` more is held for ever.
    pub fn hold_after(&self, count: usize) {
        let at = self.front.writes.load(Ordering::SeqCst) + count + 1;
        self.front.hold_at.store(at, Ordering::SeqCst);
    }

    /// Waits until a write is held, then lets later ones pass.
    pub fn await_held(&self) {
        let (held, told) = &self.front.held;
        let until = Instant::now() + Duration::from_secs(60);
        let mut is_held = held.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_held {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no write came to be held");
            is_held = told.wait_timeout(is_held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *is_held = false;
        self.front.hold_at.store(0, Ordering::SeqCst);
    }

    /// How many requests the front turned away or cut.
    pub fn refused(&self) -> usize {
        self.front.refused.load(Ordering::SeqCst)
    }

    /// « PUT /mon-seau/index.html » of every request let in since the last call; `COPY` for a copy within the bucket.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.front.log))
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(
    store: PathBuf,
    front: Arc<Front>,
    told: std::sync::mpsc::Sender<SocketAddr>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&store).expect("a store"));
    builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    told.send(listener.local_addr().expect("an address")).expect("somebody waits");
    let accept = async {
        while let Ok((socket, _)) = listener.accept().await {
            let (service, front, store) = (service.clone(), front.clone(), store.clone());
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let (service, front, store) = (service.clone(), front.clone(), store.clone());
                    async move { answer(&service, &front, &store, request).await }
                });
                // A connection that the front cuts ends with an error: that is what it is for.
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .http1_only()
                    .serve_connection(TokioIo::new(socket), answer)
                    .await;
            });
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stopped => {}
    }
}

async fn answer(
    service: &S3Service,
    front: &Front,
    store: &Path,
    request: Request<Incoming>,
) -> std::io::Result<Response<Body>> {
    if request.uri().query().is_none_or(|query| !query.contains("X-Amz-Signature")) {
        let _nobody_copies = front.copying.read().await;
        return Ok(visitor(store, request.uri().path()));
    }
    let number = front.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let every = front.cut_every.load(Ordering::SeqCst);
    if every > 0 && number.is_multiple_of(every) {
        front.refused.fetch_add(1, Ordering::SeqCst);
        return Err(std::io::Error::other("cut"));
    }
    let busy = front.busy.load(Ordering::SeqCst);
    if busy && lock(&front.chance).as_mut().is_some_and(|chance| chance.below(2) == 0) {
        front.refused.fetch_add(1, Ordering::SeqCst);
        let told = "<Error><Code>SlowDown</Code></Error>".to_owned();
        let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body(Body::from(told));
        return Ok(response.expect("a response"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let write = front.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if write == front.hold_at.load(Ordering::SeqCst) {
            *lock(&front.held.0) = true;
            front.held.1.notify_all();
            std::future::pending::<Infallible>().await;
        }
    }
    let copies = request.headers().contains_key("x-amz-copy-source");
    let method = if copies { "COPY" } else { request.method().as_str() };
    lock(&front.log).push(format!("{method} {}", request.uri().path()));
    let _alone = if copies { Some(front.copying.write().await) } else { None };
    service.call(request.map(Body::from)).await.map_err(|_| std::io::Error::other("the server failed"))
}

/// What a visitor of the site gets: the object, or 404.
fn visitor(store: &Path, path: &str) -> Response<Body> {
    let wanted = if path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
    let (status, bytes) = match std::fs::read(store.join(wanted.trim_start_matches('/'))) {
        Ok(bytes) => (StatusCode::OK, bytes),
        Err(_) => (StatusCode::NOT_FOUND, Vec::new()),
    };
    Response::builder().status(status).body(Body::from(bytes)).expect("a response")
}
