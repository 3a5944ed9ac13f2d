//! The Bedrock side against a small Bedrock of its own, over real sockets.

mod bedrock {
    mod calls;
    mod connections;
    mod refusals;
    mod server;
}
