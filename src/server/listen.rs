//! Accepts connections and serves a router on them, with a clock on everything a stranger could hold open.
//!
//! The stock accept loop of axum has no time-out at all (`docs` of the project, measure M11): a silent connection, half a
//! header, an idle keep-alive and a stalled body would each stay for ever. Here every wait has an end:
//!
//! 1. a seat is taken before a connection is accepted, and one for its address after;
//! 2. the stream has a clock for the first byte, for a head that has begun, for idleness and for a client that does not
//!    read;
//! 3. a body must keep a minimum rate;
//! 4. on stop, nothing more is accepted, idle connections close, requests in flight are finished within a delay.
//!
//! A listener may speak TLS; HTTP/2 then comes with it, for who asks. There the requests of a connection run side by side, so
//! that its clocks are those of the whole: one that brings nothing forward any more is idle, whatever it sends meanwhile.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::held::Held;
use super::tls::{ACME_PROTOCOL, HTTP2};

/// How much and how long strangers may hold; one value for all, so that tests can shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at the same time.
    pub connections: usize,
    /// Of which from one IPv4 address or one IPv6 /56; the machine itself is not counted.
    pub connections_per_address: usize,
    /// Wait for the first byte of a new connection.
    pub first_byte: Duration,
    /// Wait for a whole head, from its first byte.
    pub head: Duration,
    /// Wait between two requests.
    pub idle: Duration,
    /// Wait for the next byte of a body.
    pub body_stall: Duration,
    /// Time a body has before its rate is looked at.
    pub body_grace: Duration,
    /// Bytes a second that a body must keep on the whole, after the grace.
    pub body_rate: u64,
    /// Longest time for a whole body.
    pub body_total: Duration,
    /// Wait for a client that does not read its answer.
    pub write_stall: Duration,
    /// Time given to requests in flight when stopping.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            connections_per_address: 64,
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            body_stall: Duration::from_secs(30),
            body_grace: Duration::from_secs(30),
            body_rate: 2048,
            body_total: Duration::from_secs(30 * 60),
            write_stall: Duration::from_secs(30),
            shutdown: Duration::from_secs(20),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket, behind a proxy of the same machine.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            ListenAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
            ListenAddress::Unix(_) => true,
        }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ListenAddress::Tcp(address) => write!(formatter, "{address}"),
            ListenAddress::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Why an address cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program holds it.
    #[error("{0} is in use")]
    InUse(ListenAddress),
    /// Any other cause.
    #[error("{address} cannot be listened to")]
    Io {
        /// The address asked for.
        address: ListenAddress,
        /// Why.
        source: io::Error,
    },
}

/// The other end of a connection, put in the extensions of each request; `None` on a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// An address listened to.
pub struct Listener {
    socket: Socket,
    address: ListenAddress,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Listener").field("address", &self.address).field("tls", &self.tls.is_some()).finish()
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// Listens to that address. A Unix socket left by a program that is gone is replaced.
    ///
    /// # Errors
    /// [`ListenError::InUse`] when another program holds the address, [`ListenError::Io`] otherwise.
    pub async fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address.clone()),
            _ => ListenError::Io { address: address.clone(), source },
        };
        match address {
            ListenAddress::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted).await.map_err(fail)?;
                let address = ListenAddress::Tcp(socket.local_addr().map_err(fail)?);
                Ok(Listener { socket: Socket::Tcp(socket), address, tls: None })
            }
            #[cfg(unix)]
            ListenAddress::Unix(path) => {
                let socket = bind_unix(path).await.map_err(fail)?;
                Ok(Listener { socket: Socket::Unix(socket), address: address.clone(), tls: None })
            }
            #[cfg(not(unix))]
            ListenAddress::Unix(_) => Err(fail(io::ErrorKind::Unsupported.into())),
        }
    }

    /// A TCP socket that the system listens to already, and gave to this process (socket activation).
    ///
    /// # Errors
    /// [`ListenError::Io`] when it cannot be used.
    pub fn inherited_tcp(socket: std::net::TcpListener) -> Result<Self, ListenError> {
        let unknown = ListenAddress::Tcp(SocketAddr::from(([0, 0, 0, 0], 0)));
        let fail = |source| ListenError::Io { address: unknown.clone(), source };
        let address = ListenAddress::Tcp(socket.local_addr().map_err(fail)?);
        socket.set_nonblocking(true).map_err(fail)?;
        Ok(Listener { socket: Socket::Tcp(TcpListener::from_std(socket).map_err(fail)?), address, tls: None })
    }

    /// The same for a Unix socket.
    ///
    /// # Errors
    /// [`ListenError::Io`] when it cannot be used.
    #[cfg(unix)]
    pub fn inherited_unix(socket: std::os::unix::net::UnixListener) -> Result<Self, ListenError> {
        let path = socket.local_addr().ok().and_then(|address| address.as_pathname().map(PathBuf::from));
        let address = ListenAddress::Unix(path.unwrap_or_default());
        let fail = |source| ListenError::Io { address: address.clone(), source };
        socket.set_nonblocking(true).map_err(fail)?;
        Ok(Listener { socket: Socket::Unix(UnixListener::from_std(socket).map_err(fail)?), address, tls: None })
    }

    /// The same, speaking TLS, and HTTP/2 for who asks.
    pub fn secured(self, config: Arc<rustls::ServerConfig>) -> Self {
        Listener { tls: Some(TlsAcceptor::from(config)), ..self }
    }

    /// The address, with the port the system chose.
    pub fn local_addr(&self) -> &ListenAddress {
        &self.address
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(Some(address.ip().to_canonical()))))
            }
            #[cfg(unix)]
            Socket::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Box::new(stream), Peer(None)))
            }
        }
    }
}

#[cfg(unix)]
async fn bind_unix(path: &std::path::Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let socket = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let stale = std::fs::symlink_metadata(path)?.file_type().is_socket()
                && tokio::net::UnixStream::connect(path).await.is_err();
            if !stale {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    // The proxy runs as another user of the same group.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(socket)
}

/// Tells every part of a server that it must stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The end that says so; dropping it says so too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A pair of ends.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks everyone to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Comes back when asked to stop.
    pub async fn asked(&mut self) {
        // A closed channel asks too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    /// Whether that was asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// Comes back at SIGTERM or SIGINT (Ctrl-C).
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Serves until asked to stop, then finishes what is in flight. Gives the number of connections cut after the delay.
pub async fn serve(listener: Listener, router: Router, limits: Limits, mut stop: Stop) -> usize {
    let limits = Arc::new(limits);
    let seats = Arc::new(Semaphore::new(limits.connections));
    let addresses = Arc::new(Addresses::default());
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (seat, (stream, peer)) = tokio::select! {
            biased;
            () = stop.asked() => break,
            arrival = arrival(&listener, &seats) => arrival,
        };
        let Some(place) = addresses.take(peer, limits.connections_per_address) else {
            tracing::debug!(event = "connection.refused", "too many connections from one address");
            continue;
        };
        let tls = listener.tls.clone();
        let connection = connection((stream, peer, tls), router.clone(), limits.clone(), stop.clone());
        connections.spawn(async move {
            connection.await;
            drop((seat, place));
        });
    }
    drop(listener);
    let finished = tokio::time::timeout(limits.shutdown, async { while connections.join_next().await.is_some() {} });
    if finished.await.is_ok() {
        return 0;
    }
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

/// The next connection, with its seat.
async fn arrival(listener: &Listener, seats: &Arc<Semaphore>) -> (tokio::sync::OwnedSemaphorePermit, (Stream, Peer)) {
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else {
            // Never closed.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok(arrived) => return (seat, arrived),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(event = "accept.failed", kind = ?error.kind(), "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn connection(
    (stream, peer, tls): (Stream, Peer, Option<TlsAcceptor>),
    router: Router,
    limits: Arc<Limits>,
    mut stop: Stop,
) {
    let (stream, multiplexed) = match tls {
        None => (stream, false),
        Some(tls) => tokio::select! {
            biased;
            () = stop.asked() => return,
            shaken = shake_hands(stream, &tls, limits.head) => match shaken {
                Some(shaken) => shaken,
                None => return,
            },
        },
    };
    let activity = Arc::new(Activity::default());
    let watched = TokioIo::new(Watched::new(stream, activity.clone(), limits.clone(), multiplexed));
    let service = hyper::service::service_fn({
        let (activity, limits) = (activity.clone(), limits.clone());
        move |request: hyper::Request<hyper::body::Incoming>| {
            let mut busy = Busy::begin(activity.clone());
            let mut request = request.map(|body| Body::new(TimedBody::new(body, limits.clone())));
            request.extensions_mut().insert(peer);
            if multiplexed {
                name_host(&mut request);
            }
            let answer = router.clone().oneshot(request);
            async move {
                let answer = answer.await?;
                busy.sends();
                Ok::<_, Infallible>(answer.map(|body| Held::new(body, busy)))
            }
        }
    });
    if multiplexed {
        let connection = http2().serve_connection(watched, service);
        return drive(connection, |connection| connection.graceful_shutdown(), &activity, stop, multiplexed).await;
    }
    let mut builder = hyper::server::conn::http1::Builder::new();
    // hyper's own clock is a backstop, and what makes it read between two requests.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle + limits.head).max_buf_size(16 * 1024);
    let connection = builder.serve_connection(watched, service);
    drive(connection, |connection| connection.graceful_shutdown(), &activity, stop, multiplexed).await;
}

/// HTTP/2 with what bounds it: streams at once, headers, memory for who does not read. h2 itself closes a connection that
/// opens and resets streams, or goes on and on with headers.
fn http2() -> hyper::server::conn::http2::Builder<TokioExecutor> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(16 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .max_send_buf_size(64 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024);
    // No pings of ours: the clocks of the stream take a seat back sooner, and would count them as something sent.
    builder
}

/// Requests at once on one connection: a page with all its pictures, and no more.
const STREAMS: u32 = 64;

/// Drives a connection until its end, or until asked to stop.
async fn drive<C: Future>(
    connection: C,
    quit: impl FnOnce(Pin<&mut C>),
    activity: &Activity,
    mut stop: Stop,
    multiplexed: bool,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        // How a connection ends is the client's business; what it asked for was logged by the router.
        _ = connection.as_mut() => return,
        () = stop.asked() => {}
    }
    if !multiplexed {
        if activity.in_flight() {
            quit(connection.as_mut());
            let _ = connection.await;
        }
        return;
    }
    quit(connection.as_mut());
    // An answer may have left its handler and not the connection: as long as bytes go, they are given time.
    loop {
        let before = activity.written.load(Ordering::Acquire);
        if tokio::time::timeout(Duration::from_secs(1), connection.as_mut()).await.is_ok() {
            return;
        }
        if !activity.in_flight() && activity.written.load(Ordering::Acquire) == before {
            return;
        }
    }
}

/// The stream inside, and whether HTTP/2 was chosen; `None` when nothing is to be served.
async fn shake_hands(stream: Stream, tls: &TlsAcceptor, within: Duration) -> Option<(Stream, bool)> {
    let stream = tokio::time::timeout(within, tls.accept(stream)).await.ok()?.ok()?;
    let protocol = stream.get_ref().1.alpn_protocol();
    // A certificate authority only looks at the certificate.
    let (is_check, multiplexed) = (protocol == Some(ACME_PROTOCOL), protocol == Some(HTTP2));
    (!is_check).then(|| (Box::new(stream) as Stream, multiplexed))
}

/// HTTP/2 names the host in the address: the routes find it where HTTP/1.1 has it.
fn name_host(request: &mut hyper::Request<Body>) {
    let Some(authority) = request.uri().authority() else { return };
    if let Ok(host) = authority.as_str().parse() {
        request.headers_mut().insert(hyper::header::HOST, host);
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse();
    if let Ok(path) = path {
        *request.uri_mut() = path;
    }
}

type Stream = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connections by address.
#[derive(Debug, Default)]
struct Addresses(Mutex<BTreeMap<u128, usize>>);

/// A connection counted; gives its place back when dropped.
#[derive(Debug)]
struct Place {
    addresses: Arc<Addresses>,
    key: Option<u128>,
}

impl Addresses {
    fn take(self: &Arc<Self>, peer: Peer, most: usize) -> Option<Place> {
        let key = peer.0.filter(|ip| !ip.is_loopback()).map(prefix);
        if let Some(key) = key {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(key).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Place { addresses: self.clone(), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

/// An IPv4 address, or the /56 that one subscriber of IPv6 holds.
pub(super) fn prefix(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address) >> 72 << 72,
    }
}

/// What a connection is doing, told by its requests to the clocks of its stream.
#[derive(Debug, Default)]
struct Activity {
    /// Requests not answered to the last byte.
    in_flight: AtomicUsize,
    /// Of which those whose answer is on its way: what is awaited is the client.
    sending: AtomicUsize,
    served: AtomicUsize,
    /// Bytes sent.
    written: AtomicU64,
}

impl Activity {
    fn in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    /// Whether an answer is being made, or the body of a request is awaited, which has its own clock.
    fn working(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > self.sending.load(Ordering::Acquire)
    }
}

/// A request being answered, until the last byte of its answer.
#[derive(Debug)]
struct Busy {
    activity: Arc<Activity>,
    sends: bool,
}

impl Busy {
    fn begin(activity: Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::AcqRel);
        Busy { activity, sends: false }
    }

    /// The answer is made: it only has to be taken.
    fn sends(&mut self) {
        self.sends = true;
        self.activity.sending.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.served.fetch_add(1, Ordering::AcqRel);
        self.activity.in_flight.fetch_sub(1, Ordering::AcqRel);
        if self.sends {
            self.activity.sending.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A delay that is armed while something is awaited.
#[derive(Debug, Default)]
struct Clock {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Clock {
    fn stop(&mut self) {
        self.armed = false;
    }

    /// Whether `delay` has passed since the clock was first asked after a stop; wakes the task when it does.
    fn has_run_out(&mut self, delay: Duration, context: &mut Context<'_>) -> bool {
        let deadline = || Instant::now() + delay;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline())));
        if !self.armed {
            self.armed = true;
            sleep.as_mut().reset(deadline());
        }
        sleep.as_mut().poll(context).is_ready()
    }
}

/// What a stream that nobody is answering waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    FirstByte,
    Head,
    NextRequest,
}

/// A stream with clocks.
struct Watched {
    stream: Stream,
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    reading: Clock,
    writing: Clock,
    waiting: Waiting,
    served: usize,
    /// Whether requests run side by side.
    multiplexed: bool,
    /// What had been brought forward when the clock was last looked at.
    brought: (usize, u64),
}

impl Watched {
    fn new(stream: Stream, activity: Arc<Activity>, limits: Arc<Limits>, multiplexed: bool) -> Self {
        Watched {
            stream,
            activity,
            limits,
            reading: Clock::default(),
            writing: Clock::default(),
            waiting: Waiting::FirstByte,
            served: 0,
            multiplexed,
            brought: (0, 0),
        }
    }

    /// What comes in does not count: only answers and bytes that leave bring a connection forward.
    fn read_multiplexed(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        let activity = &self.activity;
        let brought = (activity.served.load(Ordering::Acquire), activity.written.load(Ordering::Acquire));
        if brought != self.brought || activity.working() {
            self.brought = brought;
            self.reading.stop();
        }
        if outcome.is_ready() || activity.working() {
            return outcome;
        }
        let delay = match (activity.in_flight(), brought.0) {
            (true, _) => self.limits.write_stall,
            (false, 0) => self.limits.head,
            (false, _) => self.limits.idle,
        };
        if self.reading.has_run_out(delay, context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn count(&self, outcome: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.activity.written.fetch_add(*bytes as u64, Ordering::AcqRel);
        }
    }

    /// Passes the outcome of a write on, or fails when the client has not read for too long.
    fn written<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(outcome) => {
                self.writing.stop();
                Poll::Ready(outcome)
            }
            Poll::Pending if self.writing.has_run_out(self.limits.write_stall, context) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.multiplexed {
            return this.read_multiplexed(context, buffer);
        }
        let served = this.activity.served.load(Ordering::Acquire);
        if served != this.served {
            this.served = served;
            this.waiting = Waiting::NextRequest;
            this.reading.stop();
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        if this.activity.in_flight() {
            // A body has its own clock, and an answer being made may take its time.
            this.reading.stop();
            return outcome;
        }
        match outcome {
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before && this.waiting != Waiting::Head {
                    this.waiting = Waiting::Head;
                    this.reading.stop();
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                let delay = match this.waiting {
                    Waiting::FirstByte => this.limits.first_byte,
                    Waiting::Head => this.limits.head,
                    Waiting::NextRequest => this.limits.idle,
                };
                if this.reading.has_run_out(delay, context) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(&outcome);
        self.written(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.written(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(&outcome);
        self.written(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A request's body that must keep coming.
struct TimedBody {
    body: hyper::body::Incoming,
    limits: Arc<Limits>,
    clock: Clock,
    begun: Option<Instant>,
    /// When the last bytes were handed over: what we then do with them is not the client's slowness.
    given: Option<Instant>,
    received: u64,
}

impl TimedBody {
    fn new(body: hyper::body::Incoming, limits: Arc<Limits>) -> Self {
        TimedBody { body, limits, clock: Clock::default(), begun: None, given: None, received: 0 }
    }

    /// How long the next byte may take.
    fn patience(&mut self) -> Duration {
        let limits = &self.limits;
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let earned = limits.body_grace + Duration::from_secs(self.received / limits.body_rate.max(1));
        let left = (begun + earned.min(limits.body_total)).saturating_duration_since(Instant::now());
        left.min(limits.body_stall)
    }
}

impl hyper::body::Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let (Some(given), Some(begun)) = (this.given.take(), &mut this.begun) {
            *begun += given.elapsed();
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.clock.stop();
            this.given = Some(Instant::now());
            if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
                this.received += data.map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let patience = this.patience();
        if this.clock.has_run_out(patience, context) {
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a request's body did not come whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Slower than the limits allow.
    #[error("the request's body came too slowly")]
    TooSlow,
    /// The client left or sent nonsense.
    #[error("the request's body broke off")]
    Broken(#[source] hyper::Error),
}
