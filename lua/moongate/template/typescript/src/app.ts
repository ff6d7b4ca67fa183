import * as moongate from "moongate";
import { hello } from "./routes/hello";
import { timed } from "./timed";

const app = moongate.app();

app.use(moongate.middleware.request_id());
app.use(timed);

hello(app);

export = app;
