import { App } from "moongate";

export function hello(app: App) {
  app.get("/", () => "It runs. Edit src/routes/hello.ts, run npx tstl, then look again.\n");

  app.get("/hello/:name", { name: "hello", timeout: 2 }, (ctx) => {
    // A Future: without .await() it is an error of types, wherever a number is wanted.
    const visits = ctx.increment_cache(`visits:${ctx.params.name}`).await();
    if (visits > 1000) return $multi(429, { error: "that is enough" });
    return { hello: ctx.params.name, visits };
  });
}
