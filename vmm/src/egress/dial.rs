//! From a target to a connected socket.
//!
//! Owns: resolving, choosing among addresses, trying them one after another.
//! Must not: connect to an address that was not checked; the address that is
//! checked is the very one that is dialled.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::refused;

/// How long a lookup may take, waiting for its turn included.
const LOOKUP: Duration = Duration::from_secs(15);
/// How long one address may take.
const ONE: Duration = Duration::from_secs(8);
/// How many addresses of a name are tried.
const TRIES: usize = 6;
/// Longest name.
const NAME: usize = 253;

/// How dialling went.
pub(super) enum Dialled {
    Connected(TcpStream, SocketAddr),
    Refused(SocketAddr, &'static str),
    Failed(String),
}

/// Dials an address that the guest went to directly.
pub(super) async fn direct(addr: SocketAddr, literal: bool) -> Dialled {
    if literal {
        // Somebody allowed this very address and port by hand.
        return connect(&[addr]).await;
    }
    dial(&[addr]).await
}

/// Resolves a name and dials what it leads to.
pub(super) async fn name(name: &str, port: u16, lookups: &Arc<Semaphore>) -> Dialled {
    if !is_name(name) {
        return Dialled::Failed("not a host name".into());
    }
    let resolve = resolve(name.to_owned(), port, Arc::clone(lookups));
    match timeout(LOOKUP, resolve).await {
        Err(_) => Dialled::Failed("the name's lookup took too long".into()),
        Ok(Err(error)) => Dialled::Failed(format!("the name does not resolve: {error}")),
        Ok(Ok(addrs)) if addrs.is_empty() => Dialled::Failed("the name has no address".into()),
        Ok(Ok(addrs)) => dial(&addrs).await,
    }
}

/// Asks the system's resolver, in turn. A lookup that is given up goes on in
/// its thread, and keeps its place until it ends.
async fn resolve(
    name: String,
    port: u16,
    lookups: Arc<Semaphore>,
) -> std::io::Result<Vec<SocketAddr>> {
    let place = lookups
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let lookup = tokio::spawn(async move {
        let addrs = lookup_host((name, port)).await.map(Iterator::collect);
        drop(place);
        addrs
    });
    lookup.await.map_err(std::io::Error::other)?
}

/// Letters, digits, `-`, `_`, in labels: what a resolver may be handed.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= NAME && name.split('.').all(label)
}

/// Dials the addresses that may be reached; if there is none, says why.
async fn dial(addrs: &[SocketAddr]) -> Dialled {
    let own = match refused::own() {
        Ok(own) => own,
        Err(error) => return Dialled::Failed(format!("own addresses are unknown: {error}")),
    };
    match sift(addrs, &own) {
        Ok(fine) => connect(&fine).await,
        Err((addr, range)) => Dialled::Refused(addr, range),
    }
}

/// The addresses that may be reached, or the first one that may not be.
pub(super) fn sift(
    addrs: &[SocketAddr],
    own: &[IpAddr],
) -> Result<Vec<SocketAddr>, (SocketAddr, &'static str)> {
    let mut fine = Vec::new();
    for addr in addrs {
        match refused::why(addr.ip(), own) {
            None => fine.push(*addr),
            // A public name that also has a private address is an attempt to
            // get inside, or a mistake. Either way it is not what was allowed.
            Some(range) => return Err((*addr, range)),
        }
    }
    Ok(fine)
}

/// Tries one after another.
async fn connect(addrs: &[SocketAddr]) -> Dialled {
    let mut last = "no address to dial".to_owned();
    for addr in addrs.iter().take(TRIES) {
        match timeout(ONE, TcpStream::connect(addr)).await {
            Ok(Ok(socket)) => {
                // Only a hint to the kernel.
                let _ = socket.set_nodelay(true);
                return Dialled::Connected(socket, *addr);
            }
            Ok(Err(error)) => last = format!("{}: {error}", addr.ip()),
            Err(_) => last = format!("{}: no answer within {} s", addr.ip(), ONE.as_secs()),
        }
    }
    Dialled::Failed(last)
}
