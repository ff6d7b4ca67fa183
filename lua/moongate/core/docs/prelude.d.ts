  /** What only Lua can look into. */
  export interface Userdata { readonly __userdata: never }

  /** What a statement takes for `$1`, `$2` ... */
  export type SqlValue = string | number | boolean | undefined | Userdata;

  /** What a Future is that nobody awaited. */
  export interface AwaitIsMissing { readonly "a Future: .await() is missing": never }

  /**
   * A value without a Future in it: `.await()` is missing there. What is a function's, a text or a
   * number stays as it is.
   */
  export type Settled<T> =
    T extends LuaMultiReturn<[number, infer Body]>
      ? (Body extends Settled<Body> ? T : AwaitIsMissing)
    : T extends { readonly then: any } ? AwaitIsMissing
    : T extends string | number | boolean | null | undefined ? T
    : T extends (...args: any[]) => any ? T
    : T extends object ? { [K in keyof T]: Settled<T[K]> }
    : T;

  /**
   * What a handler returns: a string (text), an object (JSON), a status alone, or
   * `$multi(status, text or object)`; nothing once ctx has the answer.
   */
  export type Returned = void | string | number | object | LuaMultiReturn<[number, string | object]>;

  /** Likewise of middleware that is a value of its own. */
  export type Replaced = void | string | number | (object & { readonly then?: never })
    | LuaMultiReturn<[number, string | object]>;

  /**
   * A value that comes later; `.await()` waits for it. As a symbol it cannot be added to a text, and
   * as something with `then` it cannot be taken for a condition: a forgotten `.await()` is an error
   * of types there too.
   */
  export type Future<T = any> = FutureOf<T> | (symbol & FutureOf<T>);

  export interface FutureOf<T> {
    /** @deprecated It is not there: `.await()` is what waits. */
    readonly then: (on_value: (value: T) => void) => void;
  }

  /** What awaiting gives, of what may be a Future. */
  export type Value<T> = T extends FutureOf<infer V> ? V : T;

  /** Any of the items that `Future.any` and its like take. */
  export type ItemOf<T> = Value<T extends readonly (infer Item)[] ? Item : T[keyof T]>;

  /** What became of a Future: of `Future.all_settled`. */
  export type Outcome<T> = { state: "resolved"; value: T } | { state: "rejected"; err: Error };
