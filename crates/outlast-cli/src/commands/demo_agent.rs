//! The agent that `outlast demo` starts, and kills: a process of its own.

use super::Done;
use crate::demo::agent::Orders;
use crate::exit::Fault;
use crate::process;
use outlast::Code;
use std::io::{BufRead, Read};
use tokio::sync::oneshot;

/// Reads what it may know from standard input, a line of JSON, and works until it is done or whoever started it
/// is gone.
pub(crate) fn run() -> Done {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok().and_then(|_| serde_json::from_str(&line).ok());
    let orders: Orders = read.ok_or_else(|| {
        Fault::new(Code::RequestInvalid, "this is a part of the demo and not started by hand").mend("run: outlast demo")
    })?;
    let (gone, is_gone) = oneshot::channel();
    std::thread::spawn(move || {
        let _end = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _nobody_listens = gone.send(());
    });
    process::block_on(async {
        tokio::select! {
            () = orders.work() => {}
            _ = is_gone => {}
        }
        Ok(0)
    })
}
