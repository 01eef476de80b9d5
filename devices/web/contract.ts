/* Made by `python -m devices.contract.typescript` from devices/contract/*.py.
   Do not edit: change the models. */

export interface Contract {
  AnswerShown: AnswerShown;
  Ask: Ask;
  BoardRow: BoardRow;
  CheckOut: CheckOut;
  Enrolment: Enrolment;
  Found: Found;
  Heartbeat: Heartbeat;
  Host: Host;
  HostAnswer: HostAnswer;
  Notice: Notice;
  Offer: Offer;
  OpeningDay: OpeningDay;
  OtherDay: OtherDay;
  PairingAnswer: PairingAnswer;
  PairingClaim: PairingClaim;
  PairingOffer: PairingOffer;
  PairingRequest: PairingRequest;
  Programme: Programme;
  Receipt: Receipt;
  Search: Search;
  Signpost: Signpost;
  Status: Status;
  Told: Told;
  Visit: Visit;
}
/**
 * `up/shown`: what became of a HostAnswer, each time that one comes.
 */
export interface AnswerShown {
  visit: string;
  /**
   * false: nobody waits on this screen any more
   */
  is_seen: boolean;
}
/**
 * A visitor who has left the page wants to know whether their host has answered.
 */
export interface Ask {
  id: string;
  number: string;
}
export interface BoardRow {
  name: string;
  unit: string;
  is_in: boolean;
}
export interface CheckOut {
  id: string;
  number: string;
  left_at: string;
}
export interface Enrolment {
  root?: string;
  site: string;
  kind: string;
  /**
   * the broker account and client id too (D5)
   */
  device: string;
  secret: string;
  host?: string;
  port?: number;
  /**
   * TLS with this CA; none: no TLS
   */
  ca_file?: string | null;
  /**
   * TLS with an authority that the system trusts, unless `ca` is given
   */
  tls?: boolean;
  /**
   * TLS with this authority's certificate, PEM
   */
  ca?: string | null;
  /**
   * the hub's Ed25519 verify key, hexadecimal, for what obeys only what is signed
   */
  hub_key?: string | null;
  hub_key_id?: string | null;
  /**
   * the device's own Ed25519 seed, hexadecimal
   */
  device_key?: string | null;
}
export interface Found {
  search: string;
  hosts: Host[];
  /**
   * above 0: too many searches, ask again after this time
   */
  wait_seconds?: number;
}
/**
 * A person who can be visited, as far as a visitor may know.
 */
export interface Host {
  id: string;
  name: string;
  unit: string;
}
/**
 * `up/heartbeat`, QoS 0.
 */
export interface Heartbeat {
  sent_at: string;
  version: string;
  uptime_seconds: number;
  /**
   * events that wait for the hub's receipt
   */
  outbox?: number;
  /**
   * what a caretaker should know, in English
   */
  problem?: string | null;
  /**
   * absent: it has none, or cannot tell
   */
  battery_percent?: number | null;
  /**
   * of this start of its program, made by chance: two with one account differ in it
   */
  instance?: string | null;
  /**
   * how often another connection with its account has ended its own, since it started
   */
  taken_over?: number;
  /**
   * of its radio; absent: it is on a cable
   */
  signal_dbm?: number | null;
}
export interface HostAnswer {
  visit: string;
  answer: "coming" | "five_minutes" | "ask_desk";
}
export interface Notice {
  id: string;
  severity?: "info" | "warning" | "danger";
  title: {
    [k: string]: string;
  };
  text: {
    [k: string]: string;
  };
  /**
   * the player shows it from then on by itself
   */
  since?: string | null;
  /**
   * the player drops it then by itself, also offline
   */
  until?: string | null;
}
/**
 * `down/offer`, retained.
 */
export interface Offer {
  site_name: string;
  languages: string[];
  signposts?: Signpost[];
  registers_visits?: boolean;
  /**
   * how long a visitor's page waits for the host's answer
   */
  waiting_seconds?: number;
  /**
   * the site's, in which hours are; empty: the kiosk's own
   */
  time_zone?: string;
  /**
   * none: nobody has said any
   */
  hours?: OpeningDay[];
  /**
   * in order, from the day it was made on
   */
  other_days?: OtherDay[];
}
/**
 * Where a visitor can go without telling anybody.
 */
export interface Signpost {
  id: string;
  icon?: "doctor" | "nav" | "child" | "mind" | "desk" | "stairs" | "library" | "toilet" | "meeting" | "info";
  name: {
    [k: string]: string;
  };
  floor: {
    [k: string]: string;
  };
  directions: {
    [k: string]: string;
  };
}
/**
 * One weekday: 0 is Monday. No spans: closed. A span is ("09:00", "15:30") by the site's clock.
 */
export interface OpeningDay {
  weekday: number;
  spans?: [string, string][];
}
/**
 * A date on which other hours hold than that weekday's. No spans: closed.
 */
export interface OtherDay {
  on: string;
  spans?: [string, string][];
  /**
   * of the public holiday that it is
   */
  name?: {
    [k: string]: string;
  } | null;
}
/**
 * `gone`: nobody typed the code in time, or the account was fetched already: ask for a new code.
 */
export interface PairingAnswer {
  state: "waiting" | "paired" | "gone";
  enrolment?: Enrolment | null;
  /**
   * for a browser: the page to go on with, the account in it
   */
  link?: string | null;
}
/**
 * POST /pair/claim
 */
export interface PairingClaim {
  claim: string;
}
/**
 * The answer to a PairingRequest.
 */
export interface PairingOffer {
  code: string;
  valid_seconds: number;
  /**
   * the console's page with the code filled in
   */
  address: string;
  /**
   * the address as a QR code: an SVG image as a data address
   */
  picture: string;
}
/**
 * POST /pair
 */
export interface PairingRequest {
  claim: string;
  /**
   * what it is as far as it knows; the administrator decides
   */
  kind: string;
}
export interface Programme {
  /**
   * changes when, and only when, the content does
   */
  revision: string;
  /**
   * false: the screen is dark until the next programme
   */
  is_on?: boolean;
  site_name: string;
  time_zone: string;
  /**
   * shown in turn
   */
  languages: string[];
  hours?: OpeningDay[];
  /**
   * in order, from the day it was made on
   */
  other_days?: OtherDay[];
  board?: BoardRow[];
  notices?: Notice[];
  made_at: string;
}
/**
 * `of` is the id of the Visit or CheckOut. `refused` is final too: the kiosk sends the visitor to the desk.
 *
 * `wait` is not: the kiosk has sent too much, keeps it, and sends it again after `wait_seconds`.
 */
export interface Receipt {
  of: string;
  result: "registered" | "checked_out" | "refused" | "wait";
  reason?: ("unknown_host" | "unknown_number" | "malformed") | null;
  number?: string | null;
  /**
   * false: no channel reaches the host, the desk tells them
   */
  host_is_told?: boolean;
  /**
   * of `wait`: not before
   */
  wait_seconds?: number;
}
export interface Search {
  id: string;
  text: string;
}
/**
 * `up/status`, QoS 1, retained; `online: false` is the last will.
 */
export interface Status {
  online: boolean;
}
/**
 * No name: whoever knows or guesses a number learns nobody's.
 */
export interface Told {
  of: string;
  result: "answered" | "no_answer" | "unknown_number";
  answer?: ("coming" | "five_minutes" | "ask_desk") | null;
  /**
   * above 0: too many numbers, ask again after this time
   */
  wait_seconds?: number;
}
export interface Visit {
  id: string;
  host: string;
  visitor: string;
  company?: string | null;
  language?: string;
  /**
   * when the visitor tapped, by the kiosk's clock
   */
  arrived_at: string;
}

export const HEARTBEAT_SECONDS = 15;
export const ASK_AGAIN_SECONDS = 2;
export const MIN_LETTERS = 3;
export const MAX_HOSTS = 5;

/** What a device receives. */
export type Received = "Found" | "Receipt" | "HostAnswer" | "Told" | "Offer" | "Programme" | "PairingOffer" | "PairingAnswer";

/** The schemas of what a device receives, and of their parts. */
export const definitions = {
  "BoardRow": {
    "properties": {
      "name": {
        "type": "string"
      },
      "unit": {
        "type": "string"
      },
      "is_in": {
        "type": "boolean"
      }
    },
    "required": [
      "name",
      "unit",
      "is_in"
    ],
    "type": "object"
  },
  "Enrolment": {
    "properties": {
      "root": {
        "default": "kommunevert",
        "type": "string"
      },
      "site": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "kind": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "device": {
        "description": "the broker account and client id too (D5)",
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "secret": {
        "type": "string"
      },
      "host": {
        "default": "127.0.0.1",
        "type": "string"
      },
      "port": {
        "default": 1883,
        "type": "integer"
      },
      "ca_file": {
        "anyOf": [
          {
            "format": "path",
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "TLS with this CA; none: no TLS"
      },
      "tls": {
        "default": false,
        "description": "TLS with an authority that the system trusts, unless `ca` is given",
        "type": "boolean"
      },
      "ca": {
        "anyOf": [
          {
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "TLS with this authority's certificate, PEM"
      },
      "hub_key": {
        "anyOf": [
          {
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "the hub's Ed25519 verify key, hexadecimal, for what obeys only what is signed"
      },
      "hub_key_id": {
        "anyOf": [
          {
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "device_key": {
        "anyOf": [
          {
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "the device's own Ed25519 seed, hexadecimal"
      }
    },
    "required": [
      "site",
      "kind",
      "device",
      "secret"
    ],
    "type": "object"
  },
  "Found": {
    "properties": {
      "search": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "hosts": {
        "items": {
          "$ref": "#/$defs/Host"
        },
        "maxItems": 5,
        "type": "array"
      },
      "wait_seconds": {
        "default": 0,
        "description": "above 0: too many searches, ask again after this time",
        "minimum": 0,
        "type": "integer"
      }
    },
    "required": [
      "search",
      "hosts"
    ],
    "type": "object"
  },
  "Host": {
    "description": "A person who can be visited, as far as a visitor may know.",
    "properties": {
      "id": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "name": {
        "type": "string"
      },
      "unit": {
        "type": "string"
      }
    },
    "required": [
      "id",
      "name",
      "unit"
    ],
    "type": "object"
  },
  "HostAnswer": {
    "properties": {
      "visit": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "answer": {
        "enum": [
          "coming",
          "five_minutes",
          "ask_desk"
        ],
        "type": "string"
      }
    },
    "required": [
      "visit",
      "answer"
    ],
    "type": "object"
  },
  "Notice": {
    "properties": {
      "id": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "severity": {
        "default": "info",
        "enum": [
          "info",
          "warning",
          "danger"
        ],
        "type": "string"
      },
      "title": {
        "additionalProperties": {
          "type": "string"
        },
        "type": "object"
      },
      "text": {
        "additionalProperties": {
          "type": "string"
        },
        "type": "object"
      },
      "since": {
        "anyOf": [
          {
            "format": "date-time",
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "the player shows it from then on by itself"
      },
      "until": {
        "anyOf": [
          {
            "format": "date-time",
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "the player drops it then by itself, also offline"
      }
    },
    "required": [
      "id",
      "title",
      "text"
    ],
    "type": "object"
  },
  "Offer": {
    "description": "`down/offer`, retained.",
    "properties": {
      "site_name": {
        "type": "string"
      },
      "languages": {
        "items": {
          "pattern": "^[a-z]{2,3}$",
          "type": "string"
        },
        "minItems": 1,
        "type": "array"
      },
      "signposts": {
        "items": {
          "$ref": "#/$defs/Signpost"
        },
        "maxItems": 12,
        "type": "array"
      },
      "registers_visits": {
        "default": true,
        "type": "boolean"
      },
      "waiting_seconds": {
        "default": 300,
        "description": "how long a visitor's page waits for the host's answer",
        "minimum": 30,
        "type": "integer"
      },
      "time_zone": {
        "default": "",
        "description": "the site's, in which hours are; empty: the kiosk's own",
        "type": "string"
      },
      "hours": {
        "description": "none: nobody has said any",
        "items": {
          "$ref": "#/$defs/OpeningDay"
        },
        "type": "array"
      },
      "other_days": {
        "description": "in order, from the day it was made on",
        "items": {
          "$ref": "#/$defs/OtherDay"
        },
        "maxItems": 60,
        "type": "array"
      }
    },
    "required": [
      "site_name",
      "languages"
    ],
    "type": "object"
  },
  "OpeningDay": {
    "description": "One weekday: 0 is Monday. No spans: closed. A span is (\"09:00\", \"15:30\") by the site's clock.",
    "properties": {
      "weekday": {
        "maximum": 6,
        "minimum": 0,
        "type": "integer"
      },
      "spans": {
        "items": {
          "maxItems": 2,
          "minItems": 2,
          "prefixItems": [
            {
              "type": "string"
            },
            {
              "type": "string"
            }
          ],
          "type": "array"
        },
        "type": "array"
      }
    },
    "required": [
      "weekday"
    ],
    "type": "object"
  },
  "OtherDay": {
    "description": "A date on which other hours hold than that weekday's. No spans: closed.",
    "properties": {
      "on": {
        "format": "date",
        "type": "string"
      },
      "spans": {
        "items": {
          "maxItems": 2,
          "minItems": 2,
          "prefixItems": [
            {
              "type": "string"
            },
            {
              "type": "string"
            }
          ],
          "type": "array"
        },
        "type": "array"
      },
      "name": {
        "anyOf": [
          {
            "additionalProperties": {
              "type": "string"
            },
            "type": "object"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "of the public holiday that it is"
      }
    },
    "required": [
      "on"
    ],
    "type": "object"
  },
  "PairingAnswer": {
    "description": "`gone`: nobody typed the code in time, or the account was fetched already: ask for a new code.",
    "properties": {
      "state": {
        "enum": [
          "waiting",
          "paired",
          "gone"
        ],
        "type": "string"
      },
      "enrolment": {
        "anyOf": [
          {
            "$ref": "#/$defs/Enrolment"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "link": {
        "anyOf": [
          {
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "description": "for a browser: the page to go on with, the account in it"
      }
    },
    "required": [
      "state"
    ],
    "type": "object"
  },
  "PairingOffer": {
    "description": "The answer to a PairingRequest.",
    "properties": {
      "code": {
        "type": "string"
      },
      "valid_seconds": {
        "type": "integer"
      },
      "address": {
        "description": "the console's page with the code filled in",
        "type": "string"
      },
      "picture": {
        "description": "the address as a QR code: an SVG image as a data address",
        "type": "string"
      }
    },
    "required": [
      "code",
      "valid_seconds",
      "address",
      "picture"
    ],
    "type": "object"
  },
  "Programme": {
    "properties": {
      "revision": {
        "description": "changes when, and only when, the content does",
        "type": "string"
      },
      "is_on": {
        "default": true,
        "description": "false: the screen is dark until the next programme",
        "type": "boolean"
      },
      "site_name": {
        "type": "string"
      },
      "time_zone": {
        "type": "string"
      },
      "languages": {
        "description": "shown in turn",
        "items": {
          "pattern": "^[a-z]{2,3}$",
          "type": "string"
        },
        "minItems": 1,
        "type": "array"
      },
      "hours": {
        "items": {
          "$ref": "#/$defs/OpeningDay"
        },
        "type": "array"
      },
      "other_days": {
        "description": "in order, from the day it was made on",
        "items": {
          "$ref": "#/$defs/OtherDay"
        },
        "maxItems": 60,
        "type": "array"
      },
      "board": {
        "items": {
          "$ref": "#/$defs/BoardRow"
        },
        "type": "array"
      },
      "notices": {
        "items": {
          "$ref": "#/$defs/Notice"
        },
        "type": "array"
      },
      "made_at": {
        "format": "date-time",
        "type": "string"
      }
    },
    "required": [
      "revision",
      "site_name",
      "time_zone",
      "languages",
      "made_at"
    ],
    "type": "object"
  },
  "Receipt": {
    "description": "`of` is the id of the Visit or CheckOut. `refused` is final too: the kiosk sends the visitor to the desk.\n\n`wait` is not: the kiosk has sent too much, keeps it, and sends it again after `wait_seconds`.",
    "properties": {
      "of": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "result": {
        "enum": [
          "registered",
          "checked_out",
          "refused",
          "wait"
        ],
        "type": "string"
      },
      "reason": {
        "anyOf": [
          {
            "enum": [
              "unknown_host",
              "unknown_number",
              "malformed"
            ],
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "number": {
        "anyOf": [
          {
            "pattern": "^[0-9]{4}$",
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "host_is_told": {
        "default": true,
        "description": "false: no channel reaches the host, the desk tells them",
        "type": "boolean"
      },
      "wait_seconds": {
        "default": 0,
        "description": "of `wait`: not before",
        "minimum": 0,
        "type": "integer"
      }
    },
    "required": [
      "of",
      "result"
    ],
    "type": "object"
  },
  "Signpost": {
    "description": "Where a visitor can go without telling anybody.",
    "properties": {
      "id": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "icon": {
        "default": "info",
        "enum": [
          "doctor",
          "nav",
          "child",
          "mind",
          "desk",
          "stairs",
          "library",
          "toilet",
          "meeting",
          "info"
        ],
        "type": "string"
      },
      "name": {
        "additionalProperties": {
          "type": "string"
        },
        "type": "object"
      },
      "floor": {
        "additionalProperties": {
          "type": "string"
        },
        "type": "object"
      },
      "directions": {
        "additionalProperties": {
          "type": "string"
        },
        "type": "object"
      }
    },
    "required": [
      "id",
      "name",
      "floor",
      "directions"
    ],
    "type": "object"
  },
  "Told": {
    "description": "No name: whoever knows or guesses a number learns nobody's.",
    "properties": {
      "of": {
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "type": "string"
      },
      "result": {
        "enum": [
          "answered",
          "no_answer",
          "unknown_number"
        ],
        "type": "string"
      },
      "answer": {
        "anyOf": [
          {
            "enum": [
              "coming",
              "five_minutes",
              "ask_desk"
            ],
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "wait_seconds": {
        "default": 0,
        "description": "above 0: too many numbers, ask again after this time",
        "minimum": 0,
        "type": "integer"
      }
    },
    "required": [
      "of",
      "result"
    ],
    "type": "object"
  }
};
