import * as moongate from "moongate";

/** Middleware: tells the client how long its answer took. */
export const timed: moongate.Middleware = (ctx, next) => {
  const start = moongate.monotonic();
  next();
  ctx.header("X-Seconds", (moongate.monotonic() - start).toFixed(3));
};
