export {
  AGENT_CLASSES,
  COMMANDS,
  EGO_SIZE,
  LIDAR_OFFSET,
  MAP_CLASSES,
  type AgentClass,
  type Command,
  type Lane,
  type MapClass,
  type MapLine,
  type Scene,
  type Track,
} from "./schema.js";
