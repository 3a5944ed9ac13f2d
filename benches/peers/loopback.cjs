// Loaded before Portkey, which would listen on all addresses: listens on loopback instead.
const { Server } = require("node:net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (...args) {
  const callback = args.findLast((arg) => typeof arg === "function");
  const port = typeof args[0] === "object" ? args[0].port : args[0];
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, callback);
};
