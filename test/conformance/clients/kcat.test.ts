// kcat of Debian, on a librdkafka that still asks for exact old versions.

import { kcatFamily } from "./kcat_driver.ts";
import { roundTrips } from "./scenario.ts";

roundTrips(kcatFamily);
